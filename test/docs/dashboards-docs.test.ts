import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { THRESHOLDS } from "../../iac/observability/objectives.ts";
import { synthesiseUnchecked } from "../../iac/synth.ts";
import { listResources } from "../../iac/terraform-json.ts";
import { EVERYTHING, settingsWith } from "../../iac/testing.ts";

const ROOT = new URL("../../", import.meta.url);
const DOCUMENT = readFileSync(new URL("docs/dashboards.md", ROOT), "utf8");
/** The titles in the tables: of the cloud in the first column, and local ones in the second. */
const TABLES = DOCUMENT.matchAll(/^\| cloud \| (\w+) \|.*\n\|[-:|]+\n((?:\|.*\n)+)/gm);
const NAMED = new Set(
  [...TABLES].flatMap(([, second, rows = ""]) =>
    rows.split("\n").flatMap((row) => {
      const [, cloud = "", local = ""] = row.split("|").map((cell) => cell.trim());
      return [cloud, second === "local" ? local : ""].filter((title) => title !== "");
    }),
  ),
);

test("docs/dashboards.md says of every chart which decision it serves", () => {
  const stacks = synthesiseUnchecked(
    settingsWith({ environment: { ...EVERYTHING, delivery: "push" } }),
  );
  const cloud = listResources(stacks, "google_monitoring_dashboard").flatMap(({ properties }) => {
    const { mosaicLayout } = JSON.parse(String(properties.dashboard_json));
    return mosaicLayout.tiles.map((tile: { widget: { title: string } }) => tile.widget.title);
  });
  const file = new URL("monitoring/grafana/dashboards/constancia.json", ROOT);
  const { panels } = JSON.parse(readFileSync(file, "utf8")) as {
    panels: { type: string; title: string }[];
  };
  const local = panels.filter(({ type }) => type !== "row").map(({ title }) => title);
  assert.ok(cloud.length > 30 && local.length > 30);
  const titles = new Set([...cloud, ...local]);
  assert.deepEqual([...titles.symmetricDifference(NAMED)], []);
});

test("docs/dashboards.md has the thresholds of the charts of instances", () => {
  const { api, subscriber } = settingsWith();
  for (const { service, maxInstances } of [api, subscriber])
    assert.ok(
      DOCUMENT.includes(`| Instances of ${service} | \`max_instances\`, ${maxInstances} |`),
    );
  const { startsAnHour } = THRESHOLDS;
  assert.ok(DOCUMENT.includes(`by the hour | ${startsAnHour} starts |`));
  assert.equal(startsAnHour, 4 * (api.maxInstances + subscriber.maxInstances));
});
