import { drain } from "./drain.ts";
import { type LoadSpec, POST_ITEM, runLoad } from "./load.ts";
import { createMint } from "./messages.ts";
import type { Stage } from "./stage.ts";

const CLIENTS = 64;
/** Of the backlog that `drain` has. */
const BACKLOG_SHARE = 0.3;
const SHARES = [
  { title: "no traces", sampling: "off" },
  { title: "5 % of traces", sampling: "0.05" },
  { title: "all traces", sampling: "1" },
];

/** What spans cost each process, sent to a sink that drops them. */
export async function benchTrace(stage: Stage): Promise<void> {
  const { rounds, amounts } = stage.options;
  const database = await stage.createDatabase("ours");
  const started = [];
  for (const { title, sampling } of SHARES) {
    const topic = stage.name("trace");
    await stage.renewTopic(topic);
    const api = await stage.start(stage.own("api", {}, sampling), { database, topic });
    started.push({ title, sampling, topic, api });
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const { title, topic, api } of started) {
      const spec: LoadSpec = {
        ...{ ...amounts, port: api.port },
        ...{ connections: CLIENTS, what: POST_ITEM },
      };
      const values = await runLoad(spec, { api: api.pid });
      stage.record({ bench: "trace", case: "POST, 64 clients", target: title, round, values });
      await stage.renewTopic(topic);
    }
    for (const { title, sampling } of started) {
      const values = await drainTraced(stage, sampling);
      stage.record({ bench: "trace", case: "backlog", target: title, round, values });
    }
  }
  for (const { api, topic } of started) {
    await api.stop();
    await stage.deleteTopic(topic);
  }
  await database.drop();
}

async function drainTraced(stage: Stage, sampling: string): Promise<Record<string, number>> {
  const backlog = Math.ceil(stage.options.amounts.backlog * BACKLOG_SHARE);
  const database = await stage.createDatabase("ours");
  const target = stage.own("subscriber", {}, sampling);
  const values = await drain(stage, database, {
    target,
    message: createMint(sampling).create,
    rows: backlog,
    backlog,
  });
  await database.drop();
  return values;
}
