import { type Answer, type Api, describeKeyAdvice, readEtag } from "./api.ts";
import { Breach, describeError } from "./failure.ts";
import { pause } from "./pause.ts";
import { say } from "./say.ts";
import { READY_WITHIN_MS, SMOKE_WAIT_SECONDS } from "./slo.ts";
import { readTarget } from "./target.ts";

const READY_LOOK_MS = 1_000;

/**
 * Tests a version at its own URL: readiness, then an item that is created, read, replaced with
 * If-Match, and deleted, each write with `Prefer: wait`, and a receipt. The subscriber with the
 * traffic settles these writes, so it must be of the same release or a newer one.
 */
export async function smokeTest(api: Api, stop: AbortSignal): Promise<void> {
  const wait = { prefer: `wait=${SMOKE_WAIT_SECONDS}` };
  await awaitReady(api, stop);
  const { path, item } = await readTarget(api);
  const created = await api("POST", path, { item, headers: wait });
  const itemPath = `${path}/${created.body.id}`;
  try {
    requireStatus("POST with Prefer: wait", created, 201);
    const version = readEtag(created);
    const read = await api("GET", itemPath);
    requireStatus("GET of the item", read, 200);
    if (readEtag(read) !== version)
      throw new Breach("The smoke test failed: GET returned another version than POST.");
    const headers = { ...wait, "if-match": `"${version}"` };
    const replaced = await api("PUT", itemPath, { item, headers });
    requireStatus("PUT with If-Match and Prefer: wait", replaced, 200);
    const receipt = await api("GET", `${itemPath}/writes/${readEtag(replaced)}`);
    requireStatus("GET of the receipt", receipt, 200);
    if (receipt.body.outcome !== "applied")
      throw new Breach(`The smoke test failed: the receipt says ${receipt.body.outcome}.`);
  } catch (error) {
    // Delete the item if possible; the first error is the one to report.
    if (created.body.id !== undefined) await api("DELETE", itemPath).catch(() => {});
    throw error;
  }
  requireStatus("DELETE with Prefer: wait", await api("DELETE", itemPath, { headers: wait }), 204);
}

/**
 * Waits until a version is ready. A new service is not reachable for a while: App Engine refuses the
 * connection, or answers 502 or 404 with a page of its own. A 404 in JSON is the version's and final.
 */
export async function awaitReady(
  api: Api,
  stop: AbortSignal,
  { withinMs = READY_WITHIN_MS, lookMs = READY_LOOK_MS } = {},
): Promise<void> {
  const deadline = Date.now() + withinMs;
  let told = "";
  for (;;) {
    const answer = await api("GET", "/health/ready").catch((error: unknown) => {
      if (stop.aborted || Date.now() > deadline) throw error;
      return describeError(error);
    });
    if (typeof answer === "object") {
      if (answer.status === 200) break;
      if (!isStarting(answer) || Date.now() > deadline)
        requireStatus("GET /health/ready", answer, 200);
    }
    const found = typeof answer === "object" ? `it answers ${answer.status}` : answer;
    if (found !== told) say(`  not ready yet: ${found}`);
    told = found;
    await pause(lookMs, stop);
  }
  say("  ready");
}

function isStarting({ status, body }: Answer): boolean {
  return [500, 502, 503].includes(status) || (status === 404 && Object.keys(body).length === 0);
}

function requireStatus(what: string, { status, body }: Answer, wanted: number): void {
  const reason = body.detail ?? (Array.isArray(body.faults) ? body.faults.join(" ") : undefined);
  if (status !== wanted)
    throw new Breach(
      `The smoke test failed: ${what} returned ${status} instead of ${wanted}` +
        `${reason ? `: ${String(reason)}` : "."}${describeKeyAdvice(status)}`,
    );
  say(`  ${what}: ${status}`);
}
