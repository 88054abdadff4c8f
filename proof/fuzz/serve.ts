import { createStopHandler, prepareProcess } from "../../common/process.ts";
import { FUZZED_COLLECTIONS } from "./collections.ts";

/** `node proof/fuzz/serve.ts api` or `subscriber`: the product's process, with these collections. */
const name = process.argv[2] === "subscriber" ? "subscriber" : "api";
const { start } =
  name === "api" ? await import("../../api/main.ts") : await import("../../subscriber/main.ts");
const { config, logger } = await prepareProcess(name);
const stop = createStopHandler(start(config, logger, FUZZED_COLLECTIONS), logger);
process.on("SIGTERM", stop).on("SIGINT", stop);
