import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bundle } from "../../deploy/bundle.ts";
import { endAtSignals } from "../chaos/at-exit.ts";
import { BREAKS, bundleBroken } from "../chaos/breaks.ts";
import { DatabaseServer } from "../chaos/database-server.ts";
import { buildStage } from "../chaos/stage.ts";
import { makeReport, writeReport } from "./soak-report.ts";
import { type SoakOptions, soak } from "./soak-run.ts";

const HELP = `npm run proof -- soak [options]

Two APIs and two subscribers, a MySQL and the local Pub/Sub, at half of the load that a short
calibration finds them to take; every minute a fault of chaos's list, by seed; memory and open
descriptors of each process looked at all the while. Everything that was accepted is looked at by
the invariants of chaos. The first API and the first subscriber are killed and ended like the
rest; the second of each lives through everything, so that its memory tells something.

  --minutes N      how long (default: 60)
  --seed N         of the faults and of what clients ask for (default: 1)
  --fault-every S  seconds from one fault to the next (default: 60)
  --calibrate S    seconds of full load, to find its half (default: 20)
  --delivery MODE  pull or push (default: pull)
  --out FOLDER     of the report, as JSON and as Markdown (default: .local/soak)
  --break NAME     break the code on purpose, in a copy, as chaos does (npm run proof -- chaos --help)
  --help           this text

Exit status 1 where a write is missing, doubled or stale, a promise was broken, or a process grows
by more than is allowed.
`;

process.env.METADATA_SERVER_DETECTION = "none";
try {
  const options = readOptions();
  // Told to end, as chaos is (proof/chaos/main.ts).
  if (options) process.exit(await main(options));
} catch (error) {
  console.error(`soak: ${(error as Error).message} (--help tells the options)`);
  process.exit(2);
}

type Options = SoakOptions & { out: string; broken: string | undefined };

function readOptions(): Options | undefined {
  const { values } = parseArgs({
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
  if (values.help) return void console.log(HELP);
  const { delivery } = values;
  if (delivery !== "pull" && delivery !== "push")
    throw new Error(`--delivery must be pull or push, not "${delivery}"`);
  if (values.break !== undefined && !BREAKS[values.break])
    throw new Error(`there is nothing to break by the name ${values.break}`);
  if (!existsSync("/proc/self/fd")) throw new Error("memory and descriptors are read from /proc");
  return {
    minutes: getNumber("--minutes", values.minutes),
    seed: getNumber("--seed", values.seed),
    faultEveryMs: getNumber("--fault-every", values["fault-every"]) * 1_000,
    calibrateMs: getNumber("--calibrate", values.calibrate) * 1_000,
    delivery,
    out: values.out,
    broken: values.break,
  };
}

function getNumber(option: string, text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new Error(`${option} must be a number above 0, not "${text}"`);
}

async function main(options: Options): Promise<number> {
  const folder = join(import.meta.dirname, "..", "..", ".local", `soak-${process.pid}`);
  await mkdir(folder, { recursive: true });
  endAtSignals(folder);
  process.env.NODE_COMPILE_CACHE = join(folder, "compiled");
  const code = options.broken ? bundleBroken(options.broken, folder) : join(folder, "code");
  if (!options.broken) await bundle(code);
  const server = await DatabaseServer.start(join(folder, "mysql"), { isSmall: false });
  try {
    const plan = { seed: options.seed, delivery: options.delivery, skewMs: 0 };
    const stage = await buildStage({ server, folder, code, plan });
    try {
      const figures = await soak(stage, options);
      const report = makeReport(options, figures);
      console.log(`\n${await writeReport(report, options.out)}`);
      if (report.failures.length === 0) return 0;
      for (const { name, output } of Object.values(stage.children))
        await writeFile(join(options.out, `${name}.log`), output);
      return 1;
    } finally {
      await stage.close();
    }
  } finally {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}
