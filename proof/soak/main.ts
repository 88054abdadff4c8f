import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bundle } from "../../deploy/bundle.ts";
import { parseOptions, readChoice, readInteger, readNumber } from "../../ops/command-line.ts";
import { bundleBroken, readBreak } from "../cluster/breaks.ts";
import { startChaosCluster } from "../cluster/chaos-cluster.ts";
import { DatabaseServer } from "../cluster/database-server.ts";
import { requireProcFs, runProof } from "../support/command.ts";
import { createWorkFolder } from "../support/servers.ts";
import { describeReport, makeReport, writeReport } from "./report.ts";
import { type SoakOptions, soak } from "./run.ts";

const HELP = `npm run proof -- soak [options]

Runs two APIs and two subscribers, a MySQL and a local Pub/Sub at half of the load that a short
calibration finds to be their capacity, with a fault of chaos every minute. After each minute the
load pauses until everything is settled, and every promise is checked as in chaos. Memory and open
descriptors of each process are sampled; the second API and the second subscriber are never ended,
so that a leak shows. Exit status 1 where a promise was broken or a process grows by more than
30 MB an hour.

  --minutes N      how long (default: 60)
  --seed N         of the faults and the requests (default: 1)
  --fault-every S  seconds from one fault to the next (default: 60)
  --calibrate S    seconds of full load (default: 20)
  --delivery MODE  pull or push (default: pull)
  --out FOLDER     for the report, as JSON (default: .local/soak)
  --break NAME     break the code on purpose, as chaos does (npm run proof -- chaos --help)
  --help           show this text
`;

type Options = SoakOptions & { out: string; broken: string | undefined };

await runProof("soak", async () => {
  const options = readOptions();
  if (!options) return console.log(HELP) ?? 0;
  requireProcFs();
  const folder = await createWorkFolder("soak");
  process.env.NODE_COMPILE_CACHE = join(folder, "compiled");
  try {
    return await run(options, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

function readOptions(): Options | undefined {
  const { values } = parseOptions({
    options: {
      minutes: { type: "string", default: "60" },
      seed: { type: "string", default: "1" },
      "fault-every": { type: "string", default: "60" },
      calibrate: { type: "string", default: "20" },
      delivery: { type: "string", default: "pull" },
      out: { type: "string", default: join(import.meta.dirname, "..", "..", ".local", "soak") },
      break: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const readSeconds = (option: "fault-every" | "calibrate") =>
    1_000 * readNumber(option, values[option], { min: 1, max: 3_600 });
  return {
    minutes: readNumber("minutes", values.minutes, { min: 0.1, max: 10_000 }),
    seed: readInteger("seed", values.seed, { min: 0 }),
    faultEveryMs: readSeconds("fault-every"),
    calibrateMs: readSeconds("calibrate"),
    delivery: readChoice("delivery", values.delivery, ["pull", "push"]),
    out: values.out,
    broken: readBreak(values.break),
  };
}

async function run(options: Options, folder: string): Promise<number> {
  const { out, broken, ...soakOptions } = options;
  const code = broken ? bundleBroken(broken, folder) : join(folder, "code");
  if (!broken) await bundle(code);
  const server = await DatabaseServer.start(join(folder, "mysql"), { isSmall: false });
  await using started = new AsyncDisposableStack();
  started.defer(() => server.close());
  const plan = { seed: options.seed, delivery: options.delivery, skewMs: 0 };
  const cluster = await startChaosCluster({ server, folder, code, plan });
  started.defer(() => cluster.close());
  const report = makeReport(soakOptions, await soak(cluster, soakOptions));
  const file = await writeReport(report, out);
  console.log(`${describeReport(report)}\nreport: ${file}`);
  if (report.failures.length === 0) return 0;
  for (const { name, output } of Object.values(cluster.processes))
    await writeFile(join(out, `${name}.log`), output);
  return 1;
}
