import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

type Profile = {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[];
  samples: number[];
  timeDeltas: number[];
};

const SHOWN = 30;

/** For each profile in the folder, the functions that took most time by themselves. */
export function describeProfiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".cpuprofile"))
    .sort()
    .map((name) => {
      const profile = JSON.parse(readFileSync(join(folder, name), "utf8")) as Profile;
      return `### ${name}\n\n${describeProfile(profile)}`;
    });
}

function describeProfile({ nodes, samples, timeDeltas }: Profile): string {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const micros = new Map<string, number>();
  samples.forEach((id, index) => {
    const frame = frames.get(id);
    if (!frame || frame.functionName === "(idle)") return;
    const file = frame.url.split("/").slice(-2).join("/");
    const line = file ? ` ${file}:${frame.lineNumber + 1}` : "";
    const name = `${frame.functionName || "(anonymous)"}${line}`;
    micros.set(name, (micros.get(name) ?? 0) + (timeDeltas[index] ?? 0));
  });
  const total = [...micros.values()].reduce((sum, value) => sum + value, 0);
  const rows = [...micros].sort(([, one], [, other]) => other - one).slice(0, SHOWN);
  const lines = rows.map(([name, value]) => `${((100 * value) / total).toFixed(1)} % ${name}`);
  return ["```", `busy for ${Math.round(total / 1_000)} ms`, ...lines, "```"].join("\n");
}
