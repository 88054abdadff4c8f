import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { drawBarPlot } from "../../proof/bench/bar-plot.ts";
import {
  buildPanels,
  describeGoals,
  describeRates,
  PLOT_NAMES,
  type PublishedReport,
  THEMES,
} from "../../proof/bench/published.ts";

const ROOT = new URL("../../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), "utf8");
const REPORT: PublishedReport = JSON.parse(read("proof/bench/report.json"));
const CURE = "run: npm run proof -- plots";

test("the README and the page on proof have the figures of the committed report", () => {
  const isIn = (document: string, name: string, text: string) =>
    read(document).includes(`<!-- ${name} -->\n\n${text}\n\n<!-- /${name} -->`);
  assert.ok(isIn("README.md", "rates", describeRates(REPORT)), CURE);
  assert.ok(isIn("docs/proof.md", "goals", describeGoals(REPORT)), CURE);
});

test("the plots are drawn from the committed report", () => {
  for (const name of PLOT_NAMES)
    for (const theme of THEMES) {
      const drawn = drawBarPlot(buildPanels(REPORT, name), theme);
      assert.equal(read(`docs/images/bench-${name}-${theme}.svg`), drawn, CURE);
    }
});

test("a plot has each bar's label and figure, and is the same when it is drawn again", () => {
  const bars = [
    { label: "ours", median: 18_220, min: 17_000, max: 19_000, isOurs: true },
    { label: "theirs", median: 4_951, min: 4_000, max: 5_000, isOurs: false },
  ];
  const panels = [{ title: "POST", unit: "a second", bars }];
  const svg = drawBarPlot(panels, "light");
  for (const text of ["POST", "a second", "ours", "18,200", "theirs", "4,950"])
    assert.ok(svg.includes(`>${text}</text>`), text);
  assert.equal(drawBarPlot(panels, "light"), svg);
  assert.notEqual(drawBarPlot(panels, "dark"), svg);
});

test("a report is published without the paths of the machine", () => {
  assert.doesNotMatch(read("proof/bench/report.json"), /\/(root|home|tmp|work|Users)\//);
});
