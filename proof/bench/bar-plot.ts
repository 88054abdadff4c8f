import {
  BarChart,
  type BarSeriesOption,
  CustomChart,
  type CustomSeriesOption,
} from "echarts/charts";
import { GridComponent, TitleComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

export type Bar = { label: string; median: number; min: number; max: number; isOurs: boolean };
/** Bars that share a unit and a scale, drawn one below the other under a title. */
export type Panel = { title: string; unit: string; bars: Bar[] };
export type Theme = "light" | "dark";

const WIDTH = 830;
const MARGIN = 8;
/** Between panels, where the labels of the bars are. */
const LABELS = 118;
const VALUES = 52;
const TITLE = 44;
const ROW = 30;
const FONT = "-apple-system, 'Segoe UI', Helvetica, Arial, sans-serif";
/** Contrast with GitHub's backgrounds: text at least 7, bars at least 3. */
const COLORS = {
  light: { text: "#1f2328", muted: "#59636e", ours: "#0b6b64", other: "#8c959f", range: "#1f2328" },
  dark: { text: "#f0f6fc", muted: "#9198a1", ours: "#2fa79b", other: "#656c76", range: "#f0f6fc" },
};
type Colors = (typeof COLORS)[Theme];

use([BarChart, CustomChart, GridComponent, TitleComponent, SVGRenderer]);

/**
 * An SVG with the panels side by side: a bar is the median of the rounds, the line across its end
 * reaches from the lowest round to the highest. Each panel has a scale of its own, from zero.
 */
export function drawBarPlot(panels: readonly Panel[], theme: Theme): string {
  const rows = Math.max(...panels.map(({ bars }) => bars.length));
  const height = TITLE + rows * ROW + MARGIN;
  const chart = init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height });
  const colors = COLORS[theme];
  const panelWidth = (WIDTH - MARGIN) / panels.length;
  chart.setOption({
    animation: false,
    textStyle: { fontFamily: FONT },
    title: panels.map(({ title, unit }, index) => ({
      text: title,
      subtext: unit,
      left: MARGIN + index * panelWidth,
      top: 0,
      padding: 0,
      itemGap: 4,
      textStyle: { color: colors.text, fontSize: 14, fontWeight: 600 },
      subtextStyle: { color: colors.muted, fontSize: 12 },
    })),
    grid: panels.map(({ bars }, index) => ({
      left: MARGIN + index * panelWidth + LABELS,
      top: TITLE,
      width: panelWidth - LABELS - VALUES - MARGIN,
      height: bars.length * ROW,
    })),
    xAxis: panels.map(({ bars }, index) => ({
      type: "value" as const,
      gridIndex: index,
      show: false,
      min: 0,
      max: Math.max(...bars.map(({ max }) => max)),
    })),
    yAxis: panels.map(({ bars }, index) => ({
      type: "category" as const,
      gridIndex: index,
      inverse: true,
      data: bars.map(({ label }) => label),
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: {
        color: colors.text,
        fontSize: 12,
        margin: LABELS,
        align: "left" as const,
      },
    })),
    series: panels.flatMap(({ bars }, index) => [
      drawMedians(bars, index, colors),
      drawRanges(bars, index, colors),
    ]),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return (
    svg
      .replace(">", `><title>${describePanels(panels)}</title>`)
      // What only an interactive page uses; it also differs from one drawing to the next.
      .replaceAll(/ (class|ecmeta_\w+)="[^"]*"/g, "")
      .replace(/<style.*<\/style>\n/s, "")
  );
}

/** What the plot shows, in words, for readers who cannot see it. */
export function describePanels(panels: readonly Panel[]): string {
  const sentences = panels.map(({ title, unit, bars }) => {
    const figures = bars.map(({ label, median }) => `${label} ${formatFigure(median)}`);
    return `${title}, ${unit}: ${figures.join("; ")}.`;
  });
  return sentences.join(" ");
}

function drawMedians(bars: readonly Bar[], index: number, colors: Colors): BarSeriesOption {
  return {
    type: "bar",
    xAxisIndex: index,
    yAxisIndex: index,
    barWidth: 16,
    data: bars.map(({ median, isOurs }) => ({
      value: median,
      itemStyle: { color: isOurs ? colors.ours : colors.other },
    })),
  };
}

/** The line from the lowest round to the highest, and the median's number to the right of both. */
function drawRanges(bars: readonly Bar[], index: number, colors: Colors): CustomSeriesOption {
  return {
    type: "custom",
    xAxisIndex: index,
    yAxisIndex: index,
    z: 3,
    data: bars.map(({ min, max }, row) => [min, row, max]),
    encode: { x: [0, 2], y: 1 },
    renderItem: ({ dataIndex }, api) => {
      const { median = 0, min = 0, max = 0, isOurs = false } = bars[dataIndex] ?? {};
      const [left = 0, middle = 0] = api.coord([min, dataIndex]);
      const [right = 0] = api.coord([Math.max(max, median), dataIndex]);
      const line = (x1: number, y1: number, x2: number, y2: number) => ({
        type: "line" as const,
        shape: { x1, y1, x2, y2 },
        style: { stroke: colors.range, lineWidth: 1.5 },
      });
      return {
        type: "group",
        children: [
          line(left, middle, right, middle),
          line(left, middle - 4, left, middle + 4),
          line(right, middle - 4, right, middle + 4),
          {
            type: "text",
            style: {
              text: formatFigure(median),
              x: right + 6,
              y: middle,
              verticalAlign: "middle",
              fill: colors.text,
              font: `${isOurs ? 600 : 400} 12px ${FONT}`,
            },
          },
        ],
      };
    },
  };
}

/** Three digits at most, and thousands with commas, as a person would tell it. */
function formatFigure(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString("en-US", { maximumFractionDigits: 2 });
}
