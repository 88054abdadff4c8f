/** One query of a chart, and the legend of its series. */
export type Line = { query: string; legend: string };
export type Tile = { title: string; lines: Line[]; unit?: string; threshold?: number };

/** The columns of Cloud Monitoring's grid, and the size of a chart: three fit in a row. */
const COLUMNS = 48;
const TILE = { width: 16, height: 14 };
/** The height of the row above the charts, with the text and the open incidents. */
const HEAD_HEIGHT = 12;

const TEXT = `**Is it accepting?** \`curl -i -X DELETE "$URL/api/data/operations-probe"\`: 202
**Is it settling?** the same with \`-H 'Prefer: wait=10'\`: 204
**Is anything missing?** \`npm run ops -- audit --since 1h\`: status 0

What each chart is for: docs/dashboards.md. What to do: docs/operations.md`;

/** The JSON of a dashboard with a text and the open incidents above the tiles. */
export function drawDashboard(displayName: string, tiles: readonly Tile[]): string {
  const head = [
    { title: "The three questions", text: { content: TEXT, format: "MARKDOWN" } },
    { title: "Open incidents", incidentList: {} },
  ].map((widget, index) => ({
    xPos: (index * COLUMNS) / 2,
    yPos: 0,
    width: COLUMNS / 2,
    height: HEAD_HEIGHT,
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
          ...(unit && { unitOverride: unit }),
        },
      })),
      ...(threshold && { thresholds: [{ value: threshold }] }),
      yAxis: { scale: "LINEAR" },
    },
  };
}
