import { parseOptions, readChoice, readInteger, UsageError } from "../ops/command-line.ts";
import { ENGINES, type Engine } from "./mysql-packages.ts";
import { PUBSUB_KINDS, type PubsubKind } from "./pubsub.ts";

export type Options = {
  port: number;
  delivery: Delivery;
  engine: Engine;
  pubsub: PubsubKind;
  issuer: boolean;
};
type Delivery = (typeof DELIVERIES)[number];
/** The variables that the processes are started with. */
export type Settings = typeof DEFAULTS & NodeJS.ProcessEnv;

const DELIVERIES = ["pull", "push"] as const;
const MAX_PORT = 65_535;
const HELP = `npm start -- [options]

Starts a MySQL, a Pub/Sub, the API and the subscriber, and stops them on Ctrl-C.

  --port N            the API's port, or the next free one (default: PORT, else 8080)
  --delivery MODE     how messages reach the subscriber: pull or push (default: pull)
  --engine ENGINE     mysql or mariadb (default: mysql); each has data of its own
  --pubsub KIND       local, which keeps unsettled messages over a restart, or emulator,
                      Google's own, which does not (default: local)
  --issuer            also starts an issuer of tokens, with a login page whose one-time codes are
                      printed here; then writes need a token (docs/identity.md)
  --help              this text

MYSQL_URL and PUBSUB_EMULATOR_HOST, if set, name servers to use instead; they are not stopped.
The variables of the processes can be set too, in the environment or in a file named .env.
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

/** Reads the command line; ends the process after `--help`, and with 2 where it is wrong. */
export function readOptions(): Options {
  try {
    const { values } = parseOptions({
      options: {
        port: { type: "string", default: process.env.PORT || "8080" },
        delivery: { type: "string", default: process.env.DELIVERY || "pull" },
        engine: { type: "string", default: "mysql" },
        pubsub: { type: "string", default: "local" },
        issuer: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      console.log(HELP);
      process.exit(0);
    }
    return {
      port: readInteger("port", values.port, { max: MAX_PORT }),
      delivery: readChoice("delivery", values.delivery, DELIVERIES),
      engine: readChoice("engine", values.engine, ENGINES),
      pubsub: readChoice("pubsub", values.pubsub, PUBSUB_KINDS),
      issuer: values.issuer,
    };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`constancia: ${error.message}\n\n${HELP}`);
    return process.exit(2);
  }
}

/** The user's variables, then our defaults; an empty value counts as not set. */
export function readSettings(): Settings {
  const given = Object.entries(process.env).filter(([, value]) => value !== "");
  return { ...DEFAULTS, ...Object.fromEntries(given) };
}
