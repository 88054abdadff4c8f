import { type LoadRequests, type LoadSpec, POST_ITEM, runLoad } from "./load.ts";
import type { Database, Running, Stage } from "./stage.ts";
import {
  EXPRESS_ALONE,
  EXPRESS_TO_MYSQL,
  FASTIFY_TO_MYSQL,
  NEST_API,
  OURS,
  SEED_API,
  type Target,
} from "./targets.ts";

const BULK_RECORDS = 1_000;
const BULK: LoadRequests = {
  kind: "same",
  method: "POST",
  path: "/api/data",
  body: `${JSON.stringify({ nombre: "Valpo" })}\n`.repeat(BULK_RECORDS),
  headers: { "Content-Type": "application/x-ndjson" },
};

const CASES = [
  { name: "1 client", connections: 1, what: POST_ITEM, records: 1 },
  { name: "64 clients", connections: 64, what: POST_ITEM, records: 1 },
  { name: "512 clients", connections: 512, what: POST_ITEM, records: 1 },
  { name: "bulk, 4 clients", connections: 4, what: BULK, records: BULK_RECORDS },
];

type Contestant = { target: Target; on: "topic" | "mysql" | "nothing"; cases: string[] };

/** Writes by HTTP. Nobody settles them meanwhile: that is measured by `drain`. */
export async function benchPost(stage: Stage): Promise<void> {
  const { rounds, amounts, only } = stage.options;
  const cases = CASES.filter(({ name }) => name.includes(only));
  const contestants: Contestant[] = [
    { target: stage.own("api"), on: "topic", cases: CASES.map(({ name }) => name) },
    { target: SEED_API, on: "topic", cases: ["1 client", "64 clients", "512 clients"] },
    { target: NEST_API, on: "topic", cases: ["64 clients", "512 clients"] },
    { target: EXPRESS_TO_MYSQL, on: "mysql", cases: ["64 clients"] },
    { target: FASTIFY_TO_MYSQL, on: "mysql", cases: ["64 clients"] },
    { target: EXPRESS_ALONE, on: "nothing", cases: ["1 client", "64 clients", "512 clients"] },
  ];
  const databases = {
    ours: await stage.createDatabase("ours"),
    peers: await stage.createDatabase("peers"),
  };
  const started: { contestant: Contestant; topic: string; api: Running; database: Database }[] = [];
  for (const contestant of contestants) {
    const topic = stage.name("post");
    const database = contestant.target.title === OURS ? databases.ours : databases.peers;
    await stage.renewTopic(topic);
    const api = await stage.start(contestant.target, { database, topic });
    started.push({ contestant, topic, api, database });
  }
  for (let round = 0; round < rounds; round += 1)
    for (const { name, connections, what, records } of cases)
      for (const { contestant, topic, api } of started) {
        if (!contestant.cases.includes(name)) continue;
        const spec: LoadSpec = { ...amounts, port: api.port, connections, what };
        const pids = {
          api: api.pid,
          ...(contestant.on === "topic" ? { emulator: stage.servers.emulatorPid } : {}),
          ...(contestant.on === "mysql" ? { mysql: stage.servers.mysqlPid } : {}),
        };
        const values = await runLoad(spec, pids, { recordsPerRequest: records });
        const { title } = contestant.target;
        stage.record({ bench: "post", case: name, target: title, round, values });
        // What waits there would be in the way of the next one.
        if (contestant.on === "topic") await stage.renewTopic(topic);
      }
  for (const { api, topic } of started) {
    await api.stop();
    await stage.deleteTopic(topic);
  }
  await databases.ours.drop();
  await databases.peers.drop();
}
