/** What of Grafana's dashboards is checked. */
export type Dashboard = { uid: string; title: string; panels: Panel[] };
type Panel = {
  type: string;
  title: string;
  gridPos: { x: number; y: number; w: number; h: number };
  datasource?: { uid: string };
  targets?: { expr: string; legendFormat: string }[];
};
/** One query of a panel, as Prometheus takes it. */
export type Query = { panel: string; expr: string; legendLabels: string[] };

/** Every query of a dashboard, with Grafana's own variable filled in. */
export function listQueries({ panels }: Dashboard): Query[] {
  return panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr, legendFormat }) => ({
      panel: title,
      expr: expr.replaceAll("$__rate_interval", "1m"),
      legendLabels: [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = ""]) => label),
    })),
  );
}

/**
 * The metrics that a PromQL expression names: its words, without those in strings, in braces and
 * brackets, in groupings and in front of a parenthesis, and without its operators.
 */
export function listMetrics(expr: string): string[] {
  const bare = expr
    .replaceAll(/"[^"]*"/g, "")
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]/g, " ")
    .replaceAll(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, " ")
    .replaceAll(/\b\d[\w.]*/g, " ");
  const words = [...bare.matchAll(/[a-zA-Z_:][\w:]*(?!\s*\(|[\w:])/g)].map(([word]) => word);
  return words.filter((word) => !["and", "or", "unless", "bool", "offset"].includes(word));
}
