import { collections } from "../../collections/collections.ts";
import { type Answer, type Api, versionIn } from "./api.ts";
import { Breach } from "./failure.ts";
import { pause } from "./pause.ts";
import { say } from "./say.ts";
import { READY_WITHIN_MS, SMOKE_WAIT_SECONDS } from "./slo.ts";

const READY_LOOK_MS = 1_000;

/** The collection that the rollout writes to, and an item that it takes. */
export function firstCollection(): { path: string; item: unknown } {
  const [first] = collections;
  if (!first) throw new Breach("There is no collection to write to.");
  return { path: `/api/${first.name}`, item: first.example };
}

/**
 * Goes through the promise once, on the version's own address: ready, a create that is waited
 * for, read back, replaced on the condition of its version, its receipt, deleted again. The
 * writes are settled by the subscriber that has the traffic, so this also proves that the new API
 * and the running subscriber understand each other.
 */
export async function smokeTest(api: Api, stop: AbortSignal): Promise<void> {
  const { path, item } = firstCollection();
  const wait = { prefer: `wait=${SMOKE_WAIT_SECONDS}` };
  await awaitReady(api, stop);
  const created = await api("POST", path, { item, headers: wait });
  const itemPath = `${path}/${created.body.id}`;
  try {
    demand("POST, waited for", created, 201);
    const version = versionIn(created);
    const read = await api("GET", itemPath);
    demand("GET of what was posted", read, 200);
    if (versionIn(read) !== version)
      throw new Breach("The smoke test failed: GET answered another version than the POST's.");
    const headers = { ...wait, "if-match": `"${version}"` };
    const replaced = await api("PUT", itemPath, { item, headers });
    demand("PUT with If-Match, waited for", replaced, 200);
    const receipt = await api("GET", `${itemPath}/writes/${versionIn(replaced)}`);
    demand("GET of the receipt", receipt, 200);
    if (receipt.body.outcome !== "applied")
      throw new Breach(`The smoke test failed: the receipt says ${receipt.body.outcome}.`);
  } catch (error) {
    // What it made should not stay, but the reason of the failure is what counts.
    if (created.body.id !== undefined) await api("DELETE", itemPath).catch(() => {});
    throw error;
  }
  demand("DELETE, waited for", await api("DELETE", itemPath, { headers: wait }), 204);
}

async function awaitReady(api: Api, stop: AbortSignal): Promise<void> {
  const deadline = Date.now() + READY_WITHIN_MS;
  for (;;) {
    const answer = await api("GET", "/health/ready");
    if (answer.status === 200) break;
    const isStarting = answer.status === 503 || answer.status === 500;
    if (!isStarting || Date.now() > deadline) demand("GET /health/ready", answer, 200);
    await pause(READY_LOOK_MS, stop);
  }
  say("  ready");
}

function demand(what: string, { status, body }: Answer, wanted: number): void {
  const told = body.detail ?? (Array.isArray(body.faults) ? body.faults.join(" ") : undefined);
  const advice = status === 401 ? " Put an API key with scope write in CONSTANCIA_API_KEY." : "";
  if (status !== wanted)
    throw new Breach(
      `The smoke test failed: ${what} was answered ${status} instead of ${wanted}` +
        `${told ? `: ${String(told)}` : "."}${advice}`,
    );
  say(`  ${what}: ${status}`);
}
