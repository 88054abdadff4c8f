import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { argv, env, exit, stderr, stdout } from "node:process";

/**
 * Stands for `gcloud logging read` over the entries in a folder: as strict as gcloud with flags,
 * oldest first, at most `--limit` of those that the filter's three terms let through.
 */
const folder = env.STAND_IN ?? "";
const [filter = "", ...flags] = argv.slice(4);
appendFileSync(join(folder, "calls"), `${filter}\n`);
if (argv.slice(2, 4).join(" ") !== "logging read") fail("no such command");
const given = Object.fromEntries(flags.map((flag) => flag.split("=", 2)));
const known = ["--project", "--limit", "--order", "--format", "--quiet"];
for (const flag of Object.keys(given)) if (!known.includes(flag)) fail(`no flag ${flag}`);
if (given["--project"] !== "constancia-test") fail("another project");
if (given["--order"] !== "asc") fail("newest first");
if (!flags.includes("--quiet")) fail("it would ask a question");
const term =
  /^jsonPayload\.message="writes accepted" AND timestamp>="([^"]+)" AND timestamp<"([^"]+)"$/;
const [, from = "", until = ""] = term.exec(filter) ?? fail(`another filter: ${filter}`);
const entries: { timestamp: string; jsonPayload?: { message?: string } }[] = JSON.parse(
  readFileSync(join(folder, "entries.json"), "utf8"),
);
const found = entries
  .filter(({ jsonPayload }) => jsonPayload?.message === "writes accepted")
  .filter(({ timestamp }) => timestamp >= from && timestamp < until)
  .sort((a, b) => (a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : 0))
  .slice(0, Number(given["--limit"]));
const text = JSON.stringify(found, null, 2);
if (env.FAULT === "garbage") stdout.write("no JSON at all");
else if (env.FAULT === "cut") stdout.write(text.slice(0, -10));
else stdout.write(`${text}\n`);
if (env.FAULT === "fail") fail("PERMISSION_DENIED: Permission denied for all log views");

function fail(reason: string): never {
  stderr.write(`ERROR: (gcloud.logging.read) ${reason}\n`);
  exit(1);
}
