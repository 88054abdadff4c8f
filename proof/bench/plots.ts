import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseOptions } from "../../ops/command-line.ts";
import { runProof } from "../support/command.ts";
import { drawBarPlot } from "./bar-plot.ts";
import {
  buildPanels,
  describeGoals,
  describeRates,
  PLOT_NAMES,
  type PublishedReport,
  publish,
  THEMES,
} from "./published.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const REPORT = join(import.meta.dirname, "report.json");
const HELP = `npm run proof -- plots [--report FILE]

Draws docs/images/bench-*.svg and writes the tables of README.md and docs/proof.md that come from
the bench, from the report that is committed as proof/bench/report.json.

  --report FILE   first publish this report of "npm run bench" (proof/bench/results/*.json): it
                  replaces the committed one
  --help          this text
`;

await runProof("plots", async () => {
  const { values } = parseOptions({
    options: { report: { type: "string" }, help: { type: "boolean", default: false } },
  });
  if (values.help) process.stdout.write(HELP);
  else run(values.report);
  return 0;
});

function run(file: string | undefined): void {
  if (file !== undefined) {
    const published = publish(JSON.parse(readFileSync(file, "utf8")));
    writeFileSync(REPORT, `${JSON.stringify(published, null, 2)}\n`);
  }
  const report: PublishedReport = JSON.parse(readFileSync(REPORT, "utf8"));
  for (const name of PLOT_NAMES)
    for (const theme of THEMES) {
      const image = join(ROOT, "docs", "images", `bench-${name}-${theme}.svg`);
      writeFileSync(image, drawBarPlot(buildPanels(report, name), theme));
    }
  replaceBetween("README.md", "rates", describeRates(report));
  replaceBetween("docs/proof.md", "goals", describeGoals(report));
}

/** Writes `text` between the comments `<!-- NAME -->` and `<!-- /NAME -->` of a document. */
function replaceBetween(document: string, name: string, text: string): void {
  const path = join(ROOT, document);
  const [before, rest = ""] = readFileSync(path, "utf8").split(`<!-- ${name} -->`);
  const [, after] = rest.split(`<!-- /${name} -->`);
  if (after === undefined)
    throw new Error(`${document} has no <!-- ${name} --> … <!-- /${name} -->`);
  writeFileSync(path, `${before}<!-- ${name} -->\n\n${text}\n\n<!-- /${name} -->${after}`);
}
