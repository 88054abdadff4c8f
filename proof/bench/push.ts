import { startPusher } from "../../test/support/pusher.ts";
import { type LoadSpec, runLoad } from "./load.ts";
import type { Stage } from "./stage.ts";
import { FUNCTION } from "./targets.ts";

/** What subscriber.yaml lets into one instance at once. */
const PUSHES_AT_ONCE = 200;
/** Enough for a window at this rate; each is pushed once. */
const MOST_PER_SECOND = 20_000;

/**
 * Pushes by Pub/Sub, with the tokens that it signs, at once as many as App Engine lets in. Our
 * process checks each token; before a function Cloud Run does that, and costs nothing here.
 */
export async function benchPush(stage: Stage): Promise<void> {
  const { rounds, amounts, sampling } = stage.options;
  const ours = await stage.createDatabase("ours");
  const peers = await stage.createDatabase("peers");
  const pusher = await startPusher();
  const eventHeaders = {
    "ce-id": "1",
    "ce-specversion": "1.0",
    "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
    "ce-source": "//pubsub.googleapis.com/projects/x/topics/y",
  };
  const contestants = [
    {
      target: stage.own("subscriber", pusher.env),
      ...{ database: ours, path: "/push", headers: { Authorization: `Bearer ${pusher.token()}` } },
    },
    { target: FUNCTION, database: peers, path: "/", headers: eventHeaders },
  ];
  const started = [];
  for (const contestant of contestants)
    started.push({
      ...contestant,
      process: await stage.start(contestant.target, { database: contestant.database }),
    });
  const seconds = amounts.seconds + amounts.warmSeconds;
  const count = Math.min(amounts.requests + PUSHES_AT_ONCE, seconds * MOST_PER_SECOND);
  for (let round = 0; round < rounds; round += 1)
    for (const { target, path, headers, process } of started) {
      const what = { kind: "pushes" as const, path, headers: { ...headers }, count, sampling };
      const spec: LoadSpec = { ...amounts, port: process.port, connections: PUSHES_AT_ONCE, what };
      const pids = { subscriber: process.pid, mysql: stage.servers.mysqlPid };
      const values = await runLoad(spec, pids);
      stage.record({ bench: "push", case: "200 at once", target: target.title, round, values });
    }
  for (const { process } of started) await process.stop();
  pusher.close();
  await ours.drop();
  await peers.drop();
}
