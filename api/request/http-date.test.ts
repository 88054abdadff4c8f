import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseHttpDate } from "./http-date.ts";

const INSTANT = Date.UTC(1994, 10, 6, 8, 49, 37);

describe("an HTTP date", () => {
  it("has three forms (RFC 9110, section 5.6.7)", () => {
    for (const text of [
      "Sun, 06 Nov 1994 08:49:37 GMT",
      "Sunday, 06-Nov-94 08:49:37 GMT",
      "Sun Nov  6 08:49:37 1994",
    ])
      assert.equal(parseHttpDate(text), INSTANT, text);
    assert.equal(parseHttpDate("Wed Nov 16 08:49:37 1994"), Date.UTC(1994, 10, 16, 8, 49, 37));
  });

  it("may have a year of two digits, at most 50 years ahead", () => {
    const now = new Date().getUTCFullYear();
    for (const ahead of [0, 1, 49, 50, -49]) {
      const date = new Date(Date.UTC(now + ahead, 5, 15));
      const [, day, month, year, time] = date.toUTCString().split(" ");
      const weekday = date.toLocaleDateString("en", { weekday: "long", timeZone: "UTC" });
      const text = `${weekday}, ${day}-${month}-${year?.slice(2)} ${time} GMT`;
      assert.equal(parseHttpDate(text), date.getTime(), text);
    }
  });

  it("is read as JavaScript writes it", () => {
    const date = fc.date({
      min: new Date("1000-01-01T00:00:00Z"),
      max: new Date("9999-12-31T23:59:59Z"),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(date, (value) => {
        const second = Math.floor(value.getTime() / 1_000) * 1_000;
        assert.equal(parseHttpDate(value.toUTCString()), second);
      }),
    );
  });

  it("is nothing else", () => {
    for (const text of [
      "",
      "x",
      "0",
      "1994-11-06T08:49:37Z",
      "sun, 06 nov 1994 08:49:37 gmt",
      "Mon, 06 Nov 1994 08:49:37 GMT",
      "Sun, 6 Nov 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 08:49:37 UTC",
      "Sun, 06 Nov 1994 08:49:37 +0000",
      "Sun, 06 Nov 1994 24:00:00 GMT",
      "Wed, 30 Feb 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
    ])
      assert.equal(parseHttpDate(text), undefined, text);
  });
});
