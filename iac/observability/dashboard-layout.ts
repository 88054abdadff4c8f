import { MonitoringDashboard } from "@cdktf/provider-google/lib/monitoring-dashboard/index.js";
import type { TerraformStack } from "cdktf";
import type { Settings } from "../settings.ts";
import { listTiles } from "./dashboard.ts";

/** A line of a chart: the query, and how its series are called. */
export type Line = { query: string; legend: string };
export type Tile = { title: string; lines: Line[]; unit?: string; threshold?: number };

/** Cloud Monitoring's grid, and three charts in a row of it. */
const COLUMNS = 48;
const TILE = { width: 16, height: 14 };
/** Text, and the open incidents, above the charts. */
const HEAD_HEIGHT = 12;

const TEXT = `**Is it accepting?** \`curl -i -X DELETE "$URL/api/data/operations-probe"\`: 202
**Is it settling?** the same with \`-H 'Prefer: wait=10'\`: 204
**Is anything missing?** \`npm run ops -- audit --since 1h\`: status 0

What each figure means, and what to do: docs/operations.md`;

/** One page that answers the three questions of an incident, from the top down. */
export function createDashboard(stack: TerraformStack, settings: Settings): void {
  new MonitoringDashboard(stack, "dashboard", {
    dashboardJson: drawDashboard(
      `Constancia, ${settings.environment.projectId}`,
      listTiles(settings),
    ),
  });
}

/** The JSON of a page with the text and the open incidents above the tiles. */
export function drawDashboard(displayName: string, tiles: readonly Tile[]): string {
  const head = [
    { title: "The three questions", text: { content: TEXT, format: "MARKDOWN" } },
    { title: "Open incidents", incidentList: {} },
  ].map((widget, index) => ({
    ...{ xPos: (index * COLUMNS) / 2, yPos: 0, width: COLUMNS / 2, height: HEAD_HEIGHT },
    widget,
  }));
  const inRow = COLUMNS / TILE.width;
  const charts = tiles.map((tile, index) => ({
    xPos: (index % inRow) * TILE.width,
    yPos: HEAD_HEIGHT + Math.floor(index / inRow) * TILE.height,
    ...TILE,
    widget: drawChart(tile),
  }));
  return JSON.stringify({
    displayName,
    mosaicLayout: { columns: COLUMNS, tiles: [...head, ...charts] },
  });
}

function drawChart({ title, lines, unit, threshold }: Tile) {
  return {
    title,
    xyChart: {
      dataSets: lines.map(({ query, legend }) => ({
        plotType: "LINE",
        targetAxis: "Y1",
        legendTemplate: legend,
        timeSeriesQuery: {
          prometheusQuery: query,
          ...(unit === undefined ? {} : { unitOverride: unit }),
        },
      })),
      ...(threshold === undefined ? {} : { thresholds: [{ value: threshold }] }),
      yAxis: { scale: "LINEAR" },
    },
  };
}
