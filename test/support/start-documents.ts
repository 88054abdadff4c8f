import { start as startApi } from "../../api/main.ts";
import { prepareProcess } from "../../common/process.ts";
import { start as startSubscriber } from "../../subscriber/main.ts";
import { documents } from "../collections/documents.ts";

// A process of its own with the collection `documents`: `node start-documents.ts api`. At its end it
// prints how much memory it has had at most.
const name = process.argv[2] === "api" ? "api" : "subscriber";
const { config, logger } = await prepareProcess(name);
await (name === "api" ? startApi : startSubscriber)(config, logger, [documents]);
process.on("SIGTERM", () => {
  process.stdout.write(`maxRSS ${process.resourceUsage().maxRSS} kB\n`, () => process.exit());
});
