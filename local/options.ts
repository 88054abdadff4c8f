import { parseArgs } from "node:util";
import { PUBSUB_KINDS, type PubsubKind } from "./pubsub.ts";

export type Options = {
  port: number;
  delivery: "pull" | "push";
  engine: "mysql" | "mariadb";
  pubsub: PubsubKind;
};
/** The variables that the processes are started with. */
export type Settings = typeof DEFAULTS & NodeJS.ProcessEnv;

const HELP = `npm start -- [options]

Starts a MySQL, a Pub/Sub, the API and the subscriber, and stops them on Ctrl-C.

  --port N            the API's port, or the next free one (default: PORT, else 8080)
  --delivery MODE     how messages reach the subscriber: pull or push (default: pull)
  --engine ENGINE     mysql or mariadb (default: mysql); each has data of its own
  --pubsub KIND       ours, which keeps what is not settled over a restart, or Google's
                      emulator, where it is installed (default: ours)
  --help              this text

MYSQL_URL or PUBSUB_EMULATOR_HOST, if set, name servers that run already; they are left alone.
Other variables of the processes can be set too, here or in a file named .env.
`;
export const DEFAULTS = {
  NODE_ENV: "development",
  GOOGLE_CLOUD_PROJECT: "constancia-local",
  PUBSUB_TOPIC: "constancia-writes",
  PUBSUB_SUBSCRIPTION: "constancia-writes-settle",
  PUBSUB_DEAD_LETTER_TOPIC: "constancia-dead-letters",
  PUBSUB_DEAD_LETTER_SUBSCRIPTION: "constancia-dead-letters-keep",
  LOG_FORMAT: "pretty",
  METRICS: "on",
  METADATA_SERVER_DETECTION: "none",
};

/** Reads the command line; what is wrong with it is told in a sentence, and ends the process. */
export function readOptions(): Options {
  try {
    const { values } = parseArgs({
      options: {
        port: { type: "string", default: process.env.PORT || "8080" },
        delivery: { type: "string", default: process.env.DELIVERY || "pull" },
        engine: { type: "string", default: "mysql" },
        pubsub: { type: "string", default: "local" },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      console.log(HELP);
      process.exit(0);
    }
    const port = Number(values.port);
    if (!(Number.isInteger(port) && port > 0 && port < 65_536)) {
      throw new Error(`--port must be a number from 1 to 65535, not "${values.port}"`);
    }
    return {
      port,
      delivery: oneOf("--delivery", values.delivery, ["pull", "push"]),
      engine: oneOf("--engine", values.engine, ["mysql", "mariadb"]),
      pubsub: oneOf("--pubsub", values.pubsub, PUBSUB_KINDS),
    };
  } catch (error) {
    console.error(
      `constancia: ${(error as Error).message} (npm start -- --help tells the options)`,
    );
    return process.exit(2);
  }
}

function oneOf<T extends string>(option: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === value);
  if (!found) throw new Error(`${option} must be ${allowed.join(" or ")}, not "${value}"`);
  return found;
}

/** What the user has set goes before our defaults; an empty value counts as not set. */
export function readSettings(): Settings {
  const given = Object.entries(process.env).filter(([, value]) => value !== "");
  return { ...DEFAULTS, ...Object.fromEntries(given) };
}
