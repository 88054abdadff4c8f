import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { data } from "../../collections/data.ts";
import { teachers } from "../collections/teachers.ts";
import { checkContract } from "../support/contract.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { createClient, sendRaw } from "../support/http.ts";
import { until } from "../support/until.ts";

/**
 * What RFC 9110 and RFC 7240 require of an origin server, a row for each: the section, the request
 * line, its headers, the status, and headers of the answer (null: it must not have it). `{etag}` and
 * `{modified}` are the validators of the item `known`. A POST or PUT without a body of its own has a
 * valid one.
 */
type Row = [
  section: string,
  request: string,
  headers: string[],
  status: number,
  answered?: Record<string, RegExp | null>,
];

const OLD_TAG = '"01968b3e-7c00-7000-8000-0123456789ab"';
const JSON_TYPES = /^application\/json, application\/x-ndjson$/;
const PROBLEM = { "content-type": /^application\/problem\+json\b/ };
const FUTURE = "Fri, 31 Dec 2100 23:59:59 GMT";
const PAST = "Sun, 06 Nov 1994 08:49:37 GMT";

// biome-ignore format: a row a line
const REPRESENTATIONS: Row[] = [
  ["5.1: unknown headers are ignored", "GET /api/data/known", ["X-Unknown: x"], 200],
  ["5.3: a list may be on several lines", "GET /api/data/known", ['If-None-Match: "x"', "If-None-Match: {etag}"], 304],
  ["5.5: no NUL in a value", "GET /api/data/known", ["X-Any: a\0b"], 400, { connection: /close/ }],
  ["5.6.1: empty members of a list are ignored", "GET /api/data/known", ['If-None-Match: , "x",, {etag},'], 304],
  ["5.6.1: in Prefer too", "POST /api/data", ["Prefer: ,, return=minimal ,"], 202, { "preference-applied": /^return=minimal$/ }],
  ["5.6.1: and in Content-Encoding", "POST /api/data", ["Content-Encoding: , identity,"], 202],
  ["6.6.1: every answer has a date", "GET /api/data/never", [], 404, { date: /GMT$/ }],
  ["7.2: a host is required", "GET /api/data/known", ["!Host"], 400],
  ["7.8: Upgrade may be ignored", "GET /api/data/known", ["Upgrade: h2c"], 200],
  ["8.3: a body needs a media type", "POST /api/data", ["!Content-Type"], 415, { accept: JSON_TYPES }],
  ["8.3.1: type and charset have no case", "POST /api/data", ["Content-Type: Application/JSON; Charset=UTF-8"], 202],
  ["8.3.1: a quoted value is the same", "POST /api/data", ['Content-Type: application/json; charset="utf-8"'], 202],
  ["5.6.6: parameters may be empty", "POST /api/data", ["Content-Type: application/json;charset=utf-8; ;"], 202],
  ["8.3.1: unknown parameters have no meaning", "POST /api/data", ['Content-Type: application/json; profile="a;charset=latin1"; version=2'], 202],
  ["15.5.16: another charset is refused", "POST /api/data", ["Content-Type: application/json; charset=latin1"], 415, { accept: JSON_TYPES, "accept-post": JSON_TYPES }],
  ["15.5.16: another media type is refused", "PUT /api/data/x", ["Content-Type: text/json"], 415, { accept: JSON_TYPES, "accept-post": null }],
  ["8.4.1: a coding has no case", "POST /api/data gzip", ["Content-Encoding: GZip"], 202],
  ["8.4.1.3: x-gzip is gzip", "POST /api/data gzip", ["Content-Encoding: x-gzip"], 202],
  ["8.4: identity is no coding", "POST /api/data", ["Content-Encoding: identity"], 202],
  ["12.5.3: an unknown coding is refused", "POST /api/data", ["Content-Encoding: compress"], 415, { "accept-encoding": /^gzip, deflate, br, zstd$/, accept: null }],
  ["12.5.3: two codings are refused", "POST /api/data gzip", ["Content-Encoding: gzip, gzip"], 415, { "accept-encoding": /gzip/ }],
  ["8.6: 204 has no length", "DELETE /api/data/x", ["Prefer: wait=20"], 204, { "content-length": null }],
  ["8.8: an item has its validators", "GET /api/data/known", [], 200, { etag: /^"[^"]+"$/, "last-modified": /GMT$/ }],
];

// biome-ignore format: a row a line
const METHODS: Row[] = [
  ["9.1: an unknown method is refused", "BREW /api/data", [], 400],
  ["9.3.2: HEAD has the headers of GET", "HEAD /api/data/known", [], 200, { etag: /^"/, "content-length": /^\d+$/ }],
  ["9.3.3: a created item has its address", "POST /api/data", ["Prefer: wait=20"], 201, { location: /^\/api\/data\// }],
  ["9.3.4: PUT that creates is 201", "PUT /api/data/created", ["Prefer: wait=20"], 201],
  ["9.3.4: PUT that replaces is 200", "PUT /api/data/created", ["Prefer: wait=20"], 200],
  ["14.5: a part is not put", "PUT /api/data/x", ["Content-Range: bytes 0-9/20"], 400, PROBLEM],
  ["9.3.7: OPTIONS names the methods", "OPTIONS /api/data/x", [], 204, { allow: /^GET, HEAD, PUT, DELETE$/ }],
  ["9.3.7: OPTIONS of the server", "OPTIONS *", [], 204],
  ["9.3.8: no TRACE", "TRACE /api/data/x", [], 405, { allow: /GET/ }],
  ["15.5.6: 405 names the methods", "PATCH /api/data/x", [], 405, { allow: /^GET, HEAD, PUT, DELETE$/ }],
  ["10.1.1: 100-continue", "POST /api/data", ["Expect: 100-continue"], 100],
  ["10.1.1: any other expectation", "POST /api/data", ["Expect: 200-ok"], 417],
  ["12.5.1: what is not acceptable may be sent", "GET /api/data/known", ["Accept: image/png"], 200, { "content-type": /json/ }],
  ["12.5.1: also where there is a choice", "GET /", ["Accept: image/png"], 200, { "content-type": /json/, vary: /Accept/ }],
  ["12.5.1: the page is one of two", "GET /", ["Accept: text/html"], 200, { "content-type": /html/, vary: /Accept/ }],
  ["12.5.3: Accept-Encoding", "GET /api/data/known", ["Accept-Encoding: br"], 200, { "content-encoding": null }],
  ["14.2: Range may be ignored", "GET /api/data/known", ["Range: bytes=0-1", "If-Range: {etag}"], 200],
  ["15.5.14: 413 may close", "POST /api/data", ["Content-Length: 99999999"], 413, { connection: /close/ }],
];

// biome-ignore format: a row a line
const CONDITIONS: Row[] = [
  ["13.1.1: If-Match that matches", "PUT /api/data/kept", ["If-Match: {kept}", "Prefer: wait=20"], 200],
  ["13.1.1: If-Match that does not", "PUT /api/data/known", [`If-Match: ${OLD_TAG}`], 412, PROBLEM],
  ["13.1.1: one of a list", "DELETE /api/data/listed", [`If-Match: ${OLD_TAG}, "x", {listed}`, "Prefer: wait=20"], 204],
  ["13.1.1: a weak tag of another version", "PUT /api/data/known", [`If-Match: W/${OLD_TAG}`], 412],
  ["13.1.1: a tag that a proxy has weakened, which the RFC has match nothing", "PUT /api/data/weakened", ["If-Match: W/{weakened}", "Prefer: wait=20"], 200],
  ["13.1.1: the same on GET", "GET /api/data/known", ["If-Match: W/{etag}"], 200],
  ["13.1.1: a tag of another server", "PUT /api/data/known", ['If-Match: "x,*,\\y"'], 412],
  ["13.1.1: * and nothing there", "PUT /api/data/never", ["If-Match: *", "Prefer: wait=20"], 412],
  ["13.1.1: GET", "GET /api/data/known", [`If-Match: ${OLD_TAG}`], 412],
  ["13.1.1: GET that matches", "GET /api/data/known", ['If-Match: "x", {etag}'], 200],
  ["13.1.1: GET of a list, which has no tag", "GET /api/data", [`If-Match: ${OLD_TAG}`], 412],
  ["13.1.2: weak comparison", "GET /api/data/known", ["If-None-Match: W/{etag}"], 304, { etag: /^"/, "cache-control": /./, date: /./ }],
  ["13.1.2: * and something there", "GET /api/data/known", ["If-None-Match: *"], 304],
  ["13.1.2: * and a list", "GET /api/data", ["If-None-Match: *"], 304],
  ["13.1.2: * and nothing there", "GET /api/data/never", ["If-None-Match: *"], 404],
  ["13.2.2: If-Match before If-None-Match", "GET /api/data/known", [`If-Match: ${OLD_TAG}`, "If-None-Match: {etag}"], 412],
  ["13.1.2: a tag with an asterisk is no asterisk", "GET /api/data/known", ['If-None-Match: "a,*,b"'], 200],
  ["13.1.2: PUT of what must not be there", "PUT /api/data/known", ["If-None-Match: *"], 412],
  ["13.1.2: DELETE of what must not be there", "DELETE /api/data/known", ["If-None-Match: *"], 412],
  ["13.1.2: DELETE where nothing is there", "DELETE /api/data/absent", ["If-None-Match: *", "Prefer: wait=20"], 204],
  ["13.1.3: a date beside If-None-Match is ignored", "GET /api/data/known", ['If-None-Match: "x"', `If-Modified-Since: ${FUTURE}`], 200],
  ["13.1.3: not on PUT", "PUT /api/data/x", [`If-Modified-Since: ${FUTURE}`], 202],
  ["13.1.4: modified since", "PUT /api/data/known", [`If-Unmodified-Since: ${PAST}`], 412],
  ["13.1.4: modified since, to be deleted", "DELETE /api/data/known", [`If-Unmodified-Since: ${PAST}`], 412],
  ["13.1.4: modified since, to be read", "GET /api/data/known", [`If-Unmodified-Since: ${PAST}`], 412],
  ["13.1.4: unmodified since", "PUT /api/data/dated", [`If-Unmodified-Since: ${FUTURE}`, "Prefer: wait=20"], 200],
  ["13.1.4: a date beside If-Match is ignored", "PUT /api/data/both", ["If-Match: {both}", `If-Unmodified-Since: ${PAST}`, "Prefer: wait=20"], 200],
  ["5.6.7: the date of RFC 850", "PUT /api/data/known", ["If-Unmodified-Since: Sunday, 06-Nov-94 08:49:37 GMT"], 412],
  ["5.6.7: the date of asctime", "PUT /api/data/known", ["If-Unmodified-Since: Sun Nov  6 08:49:37 1994"], 412],
  ["13.2.1: 404 before 412", "GET /api/data/never", [`If-Match: ${OLD_TAG}`], 404],
  ["13.2.1: not on OPTIONS", "OPTIONS /api/data/known", [`If-Match: ${OLD_TAG}`], 204],
  // RFC 9110 has an invalid date ignored; the write would overwrite, so it is refused.
  ["13.1.4: no date", "PUT /api/data/known", ["If-Unmodified-Since: 2026-03-01T09:30:00Z"], 400],
  ["13.1.4: no date, to be read", "GET /api/data/known", ["If-Unmodified-Since: yesterday"], 200],
  ["13: a condition that no route can honour is refused", "POST /api/data", ["If-Match: *"], 400],
];

// biome-ignore format: a row a line
const PREFERENCES: Row[] = [
  ["2: names have no case", "POST /api/data", ["Prefer: Return=Minimal"], 202, { "preference-applied": /^return=minimal$/ }],
  ["2: white space around =", "POST /api/data", ["prefer: wait = 20"], 201, { "preference-applied": /^wait=20$/ }],
  ["2: a quoted value", "POST /api/data", ['Prefer: wait="20"'], 201, { "preference-applied": /^wait=20$/ }],
  ["2: the first of a repeated one counts", "POST /api/data", ["Prefer: wait=20", "Prefer: wait=x, return=minimal"], 201, { "preference-applied": /^wait=20, return=minimal$/ }],
  ["2: unknown ones are ignored", "POST /api/data", ['Prefer: respond-async, x="a, wait=x"; y'], 202, { "preference-applied": null }],
  ["2: a parameter is no preference", "POST /api/data", ["Prefer: x; wait=x, return=minimal;wait=20"], 202, { "preference-applied": /^return=minimal$/ }],
  ["2: an empty value is none", "POST /api/data", ['Prefer: return=""'], 202, { "preference-applied": null }],
  ["4.2: return=representation", "PUT /api/data/shown", ["Prefer: return=representation, wait=20"], 201, { "content-type": /json/ }],
  ["4.3: wait, of any number of digits", "POST /api/data", ["Prefer: wait=99999999999999999999"], 201, { "preference-applied": /^wait=30$/ }],
  // RFC 7240, 2 has it ignored; a client that relies on the wait would not notice, so it is refused.
  ["4.3: wait that is no number", "POST /api/data", ["Prefer: wait=1.5"], 400],
  ["4.4: handling", "POST /api/data", ["Prefer: handling=strict"], 202],
];

// biome-ignore format: a row a line
const ACCESS: Row[] = [
  ["11.6.1: 401 has a challenge", "POST /api/data", [], 401, { "www-authenticate": /^Bearer realm="constancia"$/ }],
  ["11.6.2: a wrong key", "GET /api/data", ["Authorization: Bearer x"], 401, { "www-authenticate": /^Bearer realm="constancia", error="invalid_token", error_description="[^"]+"$/ }],
  ["11.1: a scheme has no case", "POST /api/data", ["Authorization: bEARER secret"], 202],
  ["15.5.4: a key without the right", "POST /api/data", ["Authorization: Bearer reader"], 403, { ...PROBLEM, "www-authenticate": /^Bearer realm="constancia", error="insufficient_scope", scope="data:write"$/ }],
];

const ITEM_METHODS = /^GET, HEAD, PUT, DELETE$/;
const ORIGIN = "Origin: https://page.example";
const NO_CORS = { "access-control-allow-methods": null, "access-control-max-age": null };

// biome-ignore format: a row a line
const OTHER_ORIGINS: Row[] = [
  ["9.3.7: OPTIONS names the methods", "OPTIONS /api/data/x", [], 204, { allow: ITEM_METHODS, ...NO_CORS }],
  ["9.3.7: of the document too", "OPTIONS /openapi.json", [], 204, { allow: /^GET, HEAD$/, ...NO_CORS }],
  ["9.3.7: also to a page that asks for no method", "OPTIONS /api/data/x", [ORIGIN], 204, { allow: ITEM_METHODS, ...NO_CORS }],
  ["9.3.7: and to what is no page", "OPTIONS /api/data/x", ["Access-Control-Request-Method: PUT"], 204, { allow: ITEM_METHODS, ...NO_CORS }],
  ["9.3.7: OPTIONS of the server", "OPTIONS *", [ORIGIN], 204],
  ["15.5.6: 405 names the methods", "PATCH /api/data/x", [ORIGIN], 405, { allow: ITEM_METHODS, "access-control-allow-origin": /^https:\/\/page\.example$/ }],
  ["Fetch, 3.3.2: a preflight", "OPTIONS /api/data/x", [ORIGIN, "Access-Control-Request-Method: PUT"], 204, { allow: null, "access-control-allow-methods": /^GET,HEAD,PUT,DELETE$/ }],
];

describe("the requirements of RFC 9110 on representations, section", () => table(REPRESENTATIONS));
describe("the requirements of RFC 9110 on methods and answers, section", () => table(METHODS));
describe("the requirements of RFC 9110 on conditions, section", () => table(CONDITIONS));
describe("the requirements of RFC 9110 where other origins are let in, section", () => {
  table(OTHER_ORIGINS, { CORS_ORIGINS: "https://page.example" });
});
describe("the requirements of RFC 7240 on preferences, section", () => table(PREFERENCES));
describe("the requirements of RFC 9110 on access, section", () => {
  const sha256 = (key: string) => createHash("sha256").update(key).digest("hex");
  table(ACCESS, { API_KEYS: `w ${sha256("secret")} *:write\nr ${sha256("reader")} *:read` });
});
describe("the requirements of RFC 9110 and 6585 on limits, section", () => {
  table(
    [
      ["RFC 6585, 4: within the limit", "GET /api/data", [], 200, { ratelimit: /r=0/ }],
      [
        "RFC 6585, 4: 429 says when to return",
        "GET /api/data",
        [],
        429,
        { "retry-after": /^\d+$/ },
      ],
    ],
    { RATE_LIMIT_PER_MINUTE: "1" },
  );
});

describe("the requirements of RFC 9110, section", () => {
  let environment: TestEnvironment;

  before(async () => {
    environment = await createTestEnvironment();
  });
  after(() => environment.close());

  it("15.6.4: 503 says when to return", async () => {
    const away = { MYSQL_URL: "mysql://nobody:nothing@127.0.0.1:1/none" };
    const { url } = await environment.startApi({ env: away });
    const unready = await environment.startApi({ collections: [data, teachers] });
    await until("the tables were checked", async () =>
      (await createClient(unready.url).get("/health/ready")).text.includes("teachers"),
    );
    const paths = [
      `${url}/api/data/x`,
      `${url}/health/ready`,
      `${unready.url}/api/data/x`,
      `${unready.url}/health/ready`,
    ];
    for (const path of paths) {
      const { status, headers } = await fetch(path);
      assert.equal(status, 503, path);
      assert.match(headers.get("retry-after") ?? "", /^\d+$/, path);
    }
  });
});

/** Runs rows against an API with a subscriber, in the environment variables `env`. */
function table(rows: readonly Row[], env: Record<string, string> = {}): void {
  let environment: TestEnvironment;
  let url: string;
  const validators = new Map<string, string>();

  before(async () => {
    environment = await createTestEnvironment();
    ({ url } = await environment.startApi({ env }));
    await environment.startSubscriber();
    if (Object.keys(env).length > 0) return;
    const api = createClient(url);
    for (const id of ["known", "kept", "listed", "weakened", "dated", "both"]) {
      const put = await api.put(`/api/data/${id}`, { nombre: id }, { prefer: "wait=20" });
      validators.set(id === "known" ? "{etag}" : `{${id}}`, put.headers.get("etag") ?? "");
    }
  });
  after(() => environment.close());

  for (const [section, request, lines, status, answered = {}] of rows)
    it(`${section}: ${request}`, async () => {
      const filled = lines.map((line) =>
        line.replace(/\{\w+\}/, (name) => validators.get(name) ?? name),
      );
      const answer = await sendRaw(url, write(request, filled));
      assert.equal(answer.status, status, answer.text);
      const [method = "", target = ""] = request.split(" ");
      if (status !== 100) checkContract(url, { method, target }, answer);
      for (const [name, wanted] of Object.entries(answered))
        if (wanted) assert.match(answer.headers.get(name) ?? "", wanted, name);
        else assert.equal(answer.headers.get(name), null, name);
      if (status === 100) assert.match(answer.text, /^HTTP\/1\.1 202 /);
      if (request.startsWith("HEAD")) assert.equal(answer.text, "");
    });
}

/** A request's bytes; a line `!Name` leaves out a header that it would have. */
function write(request: string, lines: readonly string[]): (string | Uint8Array)[] {
  const [method = "", target = "", coding] = request.split(" ");
  const hasBody = method === "POST" || method === "PUT";
  const plain = Buffer.from('{"nombre":"x"}');
  const body = hasBody ? (coding === "gzip" ? gzipSync(plain) : plain) : Buffer.alloc(0);
  const isNamed = (name: string) =>
    lines.some((line) => line.replace("!", "").split(":")[0]?.toLowerCase() === name);
  const own = [
    ["Host", "x"],
    ["Connection", "close"],
    ...(hasBody
      ? [
          ["Content-Type", "application/json"],
          ["Content-Length", String(body.length)],
        ]
      : []),
  ].filter(([name = ""]) => !isNamed(name.toLowerCase()));
  const head = [
    `${method} ${target} HTTP/1.1`,
    ...own.map(([name, value]) => `${name}: ${value}`),
    ...lines.filter((line) => !line.startsWith("!")),
  ];
  return [Buffer.from(`${head.join("\r\n")}\r\n\r\n`, "latin1"), body];
}
