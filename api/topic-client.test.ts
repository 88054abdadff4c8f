import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { status } from "@grpc/grpc-js";
import { RETRY_CODES } from "./topic-client.ts";

const CONFIG = new URL("../node_modules/@google-cloud/pubsub-api/build/src/v1/", import.meta.url);

test("a publish is retried after the codes of Google's own configuration", () => {
  const text = readFileSync(new URL("publisher_client_config.json", CONFIG), "utf8");
  const { retry_codes: lists, methods } = JSON.parse(text).interfaces["google.pubsub.v1.Publisher"];
  const names: (keyof typeof status)[] = lists[methods.Publish.retry_codes_name];
  assert.ok(names.length > 0);
  assert.deepEqual(
    RETRY_CODES.toSorted((one, other) => one - other),
    names.map((name) => status[name]).sort((one, other) => one - other),
  );
});
