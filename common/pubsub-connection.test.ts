import assert from "node:assert/strict";
import { test } from "node:test";
import { OAuth2Client } from "google-auth-library";
import { getCallCredentials } from "./pubsub-connection.ts";

const CALL = { service_url: "https://pubsub.googleapis.com/", method_name: "Publish" };

test("each call has the token of Google's library", async () => {
  const google = new OAuth2Client();
  google.setCredentials({ access_token: "a-token", expiry_date: Date.now() + 3_600_000 });
  const metadata = await getCallCredentials(google).generateMetadata(CALL);
  assert.deepEqual(metadata.get("authorization"), ["Bearer a-token"]);
});

test("a call without a token is not made", async () => {
  const calls = getCallCredentials(new OAuth2Client());
  await assert.rejects(calls.generateMetadata(CALL), /No access, refresh token/);
});
