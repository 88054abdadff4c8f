import { parseArgs } from "node:util";
import { CHAOS, FAULTS, type Rates } from "./faults.ts";
import { startPubsub } from "./server.ts";

const HELP = `node local/pubsub/main.ts [options]

A Pub/Sub on this machine, for the programs that PUBSUB_EMULATOR_HOST=host:port is set for.

  --port N           where it listens for gRPC (default: 8085)
  --control-port N   where it listens for its control interface (default: any)
  --host ADDRESS     the address of both (default: 127.0.0.1)
  --data FOLDER      keeps unsettled messages there, over a restart (default: nowhere)
  --seed N           of what goes wrong on purpose (default: 0)
  --fault NAME=RATE  lets this go wrong, at a rate from 0 to 1; may be given more than once
  --chaos            lets everything below go wrong, at gentle rates
  --help             this text

What can go wrong on purpose; PUT /faults {"NAME": RATE} at the control port changes it later:

${Object.entries(FAULTS)
  .map(([name, what]) => `  ${name.padEnd(15)} ${what}`)
  .join("\n")}
`;

try {
  await main();
} catch (error) {
  console.error(`pubsub: ${(error as Error).message} (--help lists the options)`);
  process.exit(2);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "8085" },
      "control-port": { type: "string", default: "0" },
      host: { type: "string", default: "127.0.0.1" },
      data: { type: "string" },
      seed: { type: "string", default: "0" },
      fault: { type: "string", multiple: true, default: [] },
      chaos: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const { host, controlUrl, stop } = await startPubsub({
    port: parseNumber("--port", values.port),
    controlPort: parseNumber("--control-port", values["control-port"]),
    host: values.host,
    seed: parseNumber("--seed", values.seed),
    rates: { ...(values.chaos ? CHAOS : {}), ...readRates(values.fault) },
    ...(values.data ? { folder: values.data } : {}),
  });
  const where = values.data ? `kept in ${values.data}` : "kept in memory";
  console.log(`Pub/Sub is ready on ${host}, its control interface on ${controlUrl}; ${where}`);
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => stop().then(() => process.exit(0)));
}

function parseNumber(option: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0) return value;
  throw new Error(`${option} must be a whole number, not "${text}"`);
}

function readRates(given: string[]): Rates {
  return Object.fromEntries(given.map((one) => one.split("=", 2)).map(([k, v]) => [k, Number(v)]));
}
