import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import test from "node:test";

const ROOT = new URL("../../", import.meta.url).pathname;
const EXCLUDED = /(^|\/)(node_modules|\.local|dist|cdktf\.out)$/;
/** The folders of the product; the other folders run it, prove it or show it. */
const PRODUCT = ["collections", "api", "subscriber", "common", "iac", "deploy", "ops"];
/** Code of the processes themselves. */
const PROCESSES = ["api", "subscriber", "common"];
/** Code that reads JSON from outside. */
const READERS = ["api", "subscriber", "common", "ops", "deploy"];
const NOT_PRODUCT = ["local", "proof", "test", "examples"];
/** What the infrastructure may import: limits, variables, declarations, and what a command is made of. */
const SHARED_WITH_IAC =
  /^(common\/(limits|config|variables)\.ts|collections\/|iac\/|ops\/(command-line|terminal)\.ts$)/;

type Sources = ReadonlyMap<string, string>;
type Import = { path: string; isType: boolean };

test("the sources keep the laws of the design", () => {
  const files = globSync("**/*.{ts,js,mjs}", { cwd: ROOT, exclude: (file) => EXCLUDED.test(file) });
  const sources = new Map(files.map((file) => [file, readFileSync(`${ROOT}${file}`, "utf8")]));
  assert.ok(sources.size > 300 && sources.has("common/config.ts"));
  assert.deepEqual(findBreaches(sources), []);
});

test("every law can be broken", () => {
  const cases: [path: string, source: string, breach: string | undefined][] = [
    ["api/a.ts", `import { b } from "../subscriber/b.ts";`, "api/a.ts imports subscriber/b.ts"],
    [
      "api/a.ts",
      `import type { B } from "../subscriber/b.ts";`,
      "api/a.ts imports subscriber/b.ts",
    ],
    ["subscriber/a.ts", `export * from "../api/b.ts";`, "subscriber/a.ts imports api/b.ts"],
    ["common/x/a.ts", `import "../../api/b.ts";`, "common/x/a.ts imports api/b.ts"],
    ["common/a.ts", `await import("../iac/b.ts");`, "common/a.ts imports iac/b.ts"],
    ["common/a.ts", `import { b } from "./b.ts";`, undefined],
    ["ops/a.ts", `import {\n  b,\n} from "../proof/b.ts";`, "ops/a.ts imports proof/b.ts"],
    ["ops/a.test.ts", `import { b } from "../test/b.ts";`, undefined],
    [
      "iac/a.ts",
      `import { b } from "../common/database.ts";`,
      "iac/a.ts imports common/database.ts",
    ],
    ["iac/a.ts", `import type { B } from "../common/receipts.ts";`, undefined],
    ["iac/a.ts", `import { b } from "../common/limits.ts";`, undefined],
    ["api/a.ts", `import { a } from "./a.ts";`, "api/a.ts -> api/a.ts is circular"],
    ["api/a.ts", "const { PORT } = process.env;", "api/a.ts reads the environment"],
    ["api/a.ts", `import { env } from "node:process";`, "api/a.ts reads the environment"],
    ["common/config.ts", "const { PORT } = process.env;", undefined],
    ["local/a.ts", "const { PORT } = process.env;", undefined],
    ["common/a.ts", `process.once("SIGTERM", stop);`, "common/a.ts sends or handles a signal"],
    ["subscriber/a.ts", "process.kill(process.pid);", "subscriber/a.ts sends or handles a signal"],
    ["api/main.ts", `process.on("SIGTERM", stop);`, undefined],
    ["api/a.ts", "JSON.parse(text);", "api/a.ts parses JSON without parseJson"],
    ["deploy/a.ts", "map(JSON.parse)", "deploy/a.ts parses JSON without parseJson"],
    ["api/a.ts", "JSON?.parse(text);", "api/a.ts parses JSON without parseJson"],
    ["api/a.ts", `JSON["parse"](text);`, "api/a.ts parses JSON without parseJson"],
    ["common/a.ts", "const { parse } = JSON;", "common/a.ts parses JSON without parseJson"],
    ["ops/a.ts", "const V8 = globalThis.JSON;", "ops/a.ts parses JSON without parseJson"],
    ["ops/a.ts", `Reflect.get(JSON, "parse")`, "ops/a.ts parses JSON without parseJson"],
    ["common/a.ts", "await response.json();", "common/a.ts parses JSON without parseJson"],
    ["ops/a.ts", "(await fetch(url))\n  .json( )", "ops/a.ts parses JSON without parseJson"],
    [
      "subscriber/a.ts",
      "answers.map((each) => each?.json())",
      "subscriber/a.ts parses JSON without parseJson",
    ],
    ["subscriber/a.ts", "express.json({ limit })", "subscriber/a.ts parses JSON without parseJson"],
    [
      "api/a.ts",
      `import express, { json } from "express";`,
      "api/a.ts parses JSON without parseJson",
    ],
    [
      "ops/a.ts",
      `import { json as read } from "node:stream/consumers";`,
      "ops/a.ts parses JSON without parseJson",
    ],
    ["common/a.ts", "auth.request<Secret>({ url })", "common/a.ts parses JSON without parseJson"],
    [
      "common/a.ts",
      `auth.request({ url, responseType: "json" })`,
      "common/a.ts parses JSON without parseJson",
    ],
    ["common/a.ts", `auth.request<string>({ url, responseType: "text" })`, undefined],
    ["api/a.ts", "response.status(200).json(JSON.stringify(body));", undefined],
    ["api/a.ts", `throw new Error("The body, JSON or not");`, undefined],
    ["common/json.ts", "JSON.parse(text);", undefined],
    ["common/a.ts", "/** Unlike JSON.parse. */", undefined],
    ["ops/a.test.ts", "JSON.parse(text);", undefined],
    ["iac/a.ts", "JSON.parse(text);", undefined],
  ];
  const others = ["api", "subscriber", "common", "iac", "proof", "test"].map(
    (room): [string, string] => [`${room}/b.ts`, ""],
  );
  for (const [path, source, breach] of cases) {
    const sources = new Map([...others, ["common/database.ts", ""], [path, source]]);
    assert.deepEqual(findBreaches(sources), breach === undefined ? [] : [breach], source);
  }
  const circle = new Map([
    ["proof/a.ts", `import { b } from "./b.ts";`],
    ["proof/b.ts", `import type { C } from "./c.ts";`],
    ["proof/c.ts", `import { a } from "./a.ts";`],
  ]);
  assert.deepEqual(findBreaches(circle), [
    "proof/a.ts -> proof/b.ts -> proof/c.ts -> proof/a.ts is circular",
  ]);
});

function findBreaches(sources: Sources): string[] {
  const graph = new Map([...sources].map(([file, text]) => [file, parseImports(file, text)]));
  return [
    ...[...graph].flatMap(([file, imports]) =>
      imports
        .filter((imported) => isForbidden(file, imported))
        .map(({ path }) => `${file} imports ${path}`),
    ),
    ...findCircles(graph),
    ...[...sources].flatMap(([file, text]) => findProcessBreaches(file, text)),
    ...[...sources]
      .filter(([file, text]) => parsesByItself(file, text))
      .map(([file]) => `${file} parses JSON without parseJson`),
  ];
}

function isForbidden(file: string, { path, isType }: Import): boolean {
  const from = getTopFolder(file);
  const to = getTopFolder(path);
  if (from === "api" && to === "subscriber") return true;
  if (from === "subscriber" && to === "api") return true;
  if (isTest(file)) return false;
  if (from === "common" && to !== "common") return true;
  if (PRODUCT.includes(from) && NOT_PRODUCT.includes(to)) return true;
  return from === "iac" && !isType && !SHARED_WITH_IAC.test(path);
}

function findProcessBreaches(file: string, text: string): string[] {
  if (!PROCESSES.includes(getTopFolder(file)) || isTest(file)) return [];
  const breaches: string[] = [];
  const readsEnvironment = /\bprocess\.env\b|\benv\b.*from "node:process"/.test(text);
  if (readsEnvironment && file !== "common/config.ts")
    breaches.push(`${file} reads the environment`);
  if (/"SIG[A-Z]+"|\bprocess\.kill\(/.test(text) && posix.basename(file) !== "main.ts")
    breaches.push(`${file} sends or handles a signal`);
  return breaches;
}

/** What calls JSON.parse, by itself or inside a library; gaxios does, unless it is told the type. */
const PARSERS = [
  /\bJSON\s*(?:\?\.|\.)\s*parse\b|\bJSON\s*(?:\?\.)?\[/,
  // The object under another name.
  /(?:=\s*|\(|\bglobalThis\.)JSON\b(?!\s*(?:\?\.|\.|\[|\w))/,
  /\.json\(\s*\)|\bexpress\.json\(/,
  /\bimport\s[^;"]*\bjson\b[^;"]*from\s*"(?:express|body-parser|node:stream\/consumers)"/,
  /\.request(?:<[^(]*>)?\((?![^;]*responseType: "(?:text|stream)")/,
];

/** Only `parseJson` of common/json.ts is right about every key; the page's code is the browser's. */
function parsesByItself(file: string, text: string): boolean {
  if (!READERS.includes(getTopFolder(file)) || isTest(file) || file.startsWith("api/console/"))
    return false;
  const code = text.replace(COMMENT, "");
  return file !== "common/json.ts" && PARSERS.some((parser) => parser.test(code));
}

const COMMENT = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm;

/** Every circle of imports once, by its shortest way round, from its first file in the alphabet. */
function findCircles(graph: ReadonlyMap<string, Import[]>): string[] {
  const circles = new Map<string, string>();
  for (const file of [...graph.keys()].sort()) {
    const circle = findWayBack(file, graph);
    if (!circle) continue;
    const key = [...new Set(circle)].sort().join();
    if (!circles.has(key)) circles.set(key, `${circle.join(" -> ")} is circular`);
  }
  return [...circles.values()];
}

function findWayBack(
  file: string,
  graph: ReadonlyMap<string, Import[]>,
): readonly string[] | undefined {
  const seen = new Set<string>();
  let ways: (readonly [string, ...string[]])[] = [[file]];
  while (ways.length > 0) {
    const next: typeof ways = [];
    for (const way of ways)
      for (const { path } of graph.get(way.at(-1) as string) ?? []) {
        if (path === file) return [...way, file];
        if (!seen.has(path)) next.push([...way, path]);
        seen.add(path);
      }
    ways = next;
  }
  return undefined;
}

const IMPORT =
  /^\s*(?:import|export)\s+(?<type>type\s)?[^;"]*?\bfrom\s*"(?<from>\.[^"]+)"|^\s*import\s*"(?<bare>\.[^"]+)"|\bimport\(\s*"(?<dynamic>\.[^"]+)"\s*\)/gm;

function parseImports(file: string, text: string): Import[] {
  return [...text.matchAll(IMPORT)].map(({ groups = {} }) => ({
    path: posix.join(posix.dirname(file), (groups.from ?? groups.bare ?? groups.dynamic) as string),
    isType: groups.type !== undefined,
  }));
}

function getTopFolder(file: string): string {
  return file.split("/")[0] as string;
}

function isTest(file: string): boolean {
  return /\.test\.ts$/.test(file);
}
