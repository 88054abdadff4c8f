import { data } from "../../collections/data.ts";
import { createStopHandler, prepareProcess } from "../../common/process.ts";
import { courses } from "../../test/collections/courses.ts";
import { parcels } from "../../test/collections/parcels.ts";
import { teachers } from "../../test/collections/teachers.ts";

/** The project's collection, and three of the tests', which have a field of each kind. */
const collections = [data, teachers, courses, parcels];

/** `node proof/fuzz/serve.ts api` or `subscriber`: the product's process, with these collections. */
const name = process.argv[2] === "subscriber" ? "subscriber" : "api";
const { start } =
  name === "api" ? await import("../../api/main.ts") : await import("../../subscriber/main.ts");
const { config, logger } = await prepareProcess(name);
const stop = createStopHandler(start(config, logger, collections), logger);
process.on("SIGTERM", stop).on("SIGINT", stop);
