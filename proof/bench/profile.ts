import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

type Frame = { functionName: string; url: string; lineNumber: number };
type Node = { id: number; callFrame: Frame; children?: number[] };
type Profile = { nodes: Node[]; samples: number[]; timeDeltas: number[] };

const SHOWN = 30;
/** The line that esbuild writes above each module. */
const MODULE_LINE = /^\/\/ ((?:node_modules|api|collections|common|deploy|subscriber)\/\S+)$/;

/** For each profile in the folder: which modules and which functions took the time. */
export function describeProfiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".cpuprofile"))
    .sort()
    .map((name) => describeProfile(JSON.parse(readFileSync(join(folder, name), "utf8"))));
}

function describeProfile({ nodes, samples, timeDeltas }: Profile): string {
  const modules = new Modules();
  const parents = new Map(
    nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])),
  );
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const microsById = new Map<number, number>();
  samples.forEach((id, index) => {
    microsById.set(id, (microsById.get(id) ?? 0) + (timeDeltas[index] ?? 0));
  });
  const byModule = new Map<string, number>();
  const byFunction = new Map<string, number>();
  const withCallees = new Map<string, number>();
  let busy = 0;
  for (const [id, micros] of microsById) {
    const node = byId.get(id);
    if (!node || node.callFrame.functionName === "(idle)") continue;
    busy += micros;
    add(byFunction, modules.describe(node.callFrame), micros);
    add(byModule, findOwner(node), micros);
    for (const name of listCallers(node)) add(withCallees, name, micros);
  }
  return [
    `### ${modules.program || "a process"}: busy for ${Math.round(busy / 1_000)} ms`,
    "By module, with what Node does for it:",
    shares(byModule, busy),
    "By function of Constancia, with all that it calls:",
    shares(withCallees, busy),
    "By function, by itself:",
    shares(byFunction, busy),
  ].join("\n\n");

  /** The nearest module of the bundle in its stack; without one, the frame's own name. */
  function findOwner(node: Node): string {
    for (let at: Node | undefined = node; at; at = byId.get(parents.get(at.id) ?? -1)) {
      const name = modules.find(at.callFrame);
      if (name) return nameGroup(name);
    }
    const { functionName, url } = node.callFrame;
    return functionName.startsWith("(") ? functionName : url || "Node itself";
  }

  /** The functions of Constancia in its stack, each once. */
  function listCallers(node: Node): Set<string> {
    const names = new Set<string>();
    for (let at: Node | undefined = node; at; at = byId.get(parents.get(at.id) ?? -1)) {
      const module = modules.find(at.callFrame);
      if (module && !module.startsWith("node_modules/")) names.add(modules.describe(at.callFrame));
    }
    return names;
  }
}

/** Finds the module that a line of the bundle came from. */
class Modules {
  readonly #lines = new Map<string, string[]>();
  program = "";

  find({ url, lineNumber }: Frame): string | undefined {
    if (!url.startsWith("file:")) return undefined;
    return this.#getLines(url)[lineNumber];
  }

  describe(frame: Frame): string {
    const module = this.find(frame) ?? frame.url;
    return `${frame.functionName || "(anonymous)"} ${module}`.trimEnd();
  }

  #getLines(url: string): string[] {
    const known = this.#lines.get(url);
    if (known) return known;
    let module = "";
    const lines = readFileSync(fileURLToPath(url), "utf8")
      .split("\n")
      .map((line) => {
        module = MODULE_LINE.exec(line)?.[1] ?? module;
        return module;
      });
    if (/\/(api|subscriber)\.js$/.test(url)) this.program = basename(url, ".js");
    this.#lines.set(url, lines);
    return lines;
  }
}

/** The package, or the file of Constancia. */
function nameGroup(module: string): string {
  const packages = [...module.matchAll(/node_modules\/((?:@[^/]+\/)?[^/]+)/g)];
  return packages.at(-1)?.[1] ?? module;
}

function add(sums: Map<string, number>, name: string, micros: number): void {
  sums.set(name, (sums.get(name) ?? 0) + micros);
}

function shares(sums: Map<string, number>, total: number): string {
  const rows = [...sums].sort(([, one], [, other]) => other - one).slice(0, SHOWN);
  const lines = rows.map(([name, micros]) => `${((100 * micros) / total).toFixed(1)} % ${name}`);
  return ["```", ...lines, "```"].join("\n");
}
