import { stripTypeScriptTypes } from "node:module";
import { type AnyNode, parse } from "acorn";
import type { Change } from "./change.ts";

/** A change to a source that its tests should notice. */
export type Mutant = Change & {
  /** The number of the line, from 1. */
  lineNumber: number;
  /** Its text, and what the change makes of it; of a change of several lines, of the first. */
  lineText: string;
  becomes: string;
};

/** Operators, and what each is replaced by. */
const OPERATORS: Record<string, string> = {
  "<": "<=",
  "<=": "<",
  ">": ">=",
  ">=": ">",
  "===": "!==",
  "!==": "===",
  "+": "-",
  "-": "+",
  "*": "/",
  "/": "*",
  "%": "*",
  "**": "*",
  "&": "|",
  "|": "&",
  "<<": ">>>",
  ">>>": "<<",
  "&&": "||",
  "||": "&&",
  "??": "&&",
  "+=": "-=",
  "-=": "+=",
  "++": "--",
  "--": "++",
};
/** Methods that are easily taken for each other. */
const METHODS: Record<string, string> = { min: "max", max: "min", some: "every", every: "some" };

/**
 * Lists the mutants of a TypeScript source, in its order: an operator or a method changed, a condition
 * that always or never holds, a literal changed, a statement removed. Types have none.
 */
export function listMutants(source: string): Mutant[] {
  // Types become blanks, so that every place stays where it is.
  const script = stripTypeScriptTypes(source);
  const root = parse(script, { ecmaVersion: "latest", sourceType: "module" });
  const changes: Change[] = [];
  visit(root, (node) => changes.push(...mutateNode(node, script)));
  return changes
    .sort((one, other) => one.start - other.start || one.end - other.end)
    .map((change) => ({ ...change, ...showChange(source, change) }));
}

function showChange(source: string, { start, end, code }: Change) {
  const first = source.lastIndexOf("\n", start - 1) + 1;
  const newline = source.indexOf("\n", end);
  const last = newline < 0 ? source.length : newline;
  const [lineText = ""] = source.slice(first, last).split("\n");
  return {
    lineNumber: source.slice(0, first).split("\n").length,
    lineText: lineText.trim(),
    becomes: (source.slice(first, start) + code + source.slice(end, last)).trim(),
  };
}

function mutateNode(node: AnyNode, script: string): Change[] {
  const whole = (code: string): Change => ({ start: node.start, end: node.end, code });
  switch (node.type) {
    case "BinaryExpression":
    case "LogicalExpression":
    case "AssignmentExpression":
      return mutateOperator(node, script);
    case "UpdateExpression":
      return [replaceOperator(node, script, node.start, node.end)];
    case "UnaryExpression":
      if (node.operator !== "!" && node.operator !== "-") return [];
      return [{ start: node.start, end: node.argument.start, code: "" }];
    case "IfStatement":
    case "ConditionalExpression":
      return ["true", "false"].map((code) => ({ ...getPlace(node.test), code }));
    case "WhileStatement":
      return [{ ...getPlace(node.test), code: "false" }];
    case "ForStatement":
      return node.test ? [{ ...getPlace(node.test), code: "false" }] : [];
    case "ArrayExpression":
      return node.elements.length > 0 ? [whole("[]")] : [];
    case "TemplateLiteral":
      return [whole("``")];
    case "MemberExpression":
      return mutateMethod(node);
    case "Literal":
      return mutateLiteral(node);
    case "ExpressionStatement":
      return node.expression.type === "Literal" ? [] : [whole("{}")];
    default:
      return [];
  }
}

type Operation = Extract<
  AnyNode,
  { type: "BinaryExpression" | "LogicalExpression" | "AssignmentExpression" }
>;

function mutateOperator(node: Operation, script: string): Change[] {
  const { operator, left, right } = node;
  if (!(operator in OPERATORS)) return [];
  const isText = [left, right].some(
    ({ type, ...more }) =>
      type === "TemplateLiteral" || typeof (more as { value?: unknown }).value === "string",
  );
  // Texts that are joined are changed themselves.
  if (operator === "+" && isText) return [];
  return [replaceOperator(node, script, left.end, right.start)];
}

/** The operator stands between brackets, blanks and comments. */
function replaceOperator(
  { operator }: { operator: string },
  script: string,
  from: number,
  to: number,
): Change {
  const start = from + script.slice(from, to).lastIndexOf(operator);
  return { start, end: start + operator.length, code: OPERATORS[operator] as string };
}

function mutateMethod({ property }: Extract<AnyNode, { type: "MemberExpression" }>): Change[] {
  if (property.type !== "Identifier" || !Object.hasOwn(METHODS, property.name)) return [];
  return [{ ...getPlace(property), code: METHODS[property.name] as string }];
}

function mutateLiteral(node: Extract<AnyNode, { type: "Literal" }>): Change[] {
  const { value, raw } = node;
  const change = (code: string) => [{ ...getPlace(node), code }];
  if (typeof value === "number") return change(String(value + 1));
  if (typeof value === "boolean") return change(String(!value));
  if (typeof value === "string") return change(value === "" ? '"mutated"' : '""');
  if ("regex" in node && raw)
    return [
      ...(raw.startsWith("/^") ? change(`/${raw.slice(2)}`) : []),
      ...(/[^\\]\$\/\w*$/.test(raw) ? change(raw.replace(/\$(\/\w*)$/, "$1")) : []),
    ];
  return [];
}

function getPlace({ start, end }: { start: number; end: number }) {
  return { start, end };
}

/** Calls `see` with each node whose change can mean something: not names of modules and of keys. */
function visit(node: AnyNode, see: (node: AnyNode) => void): void {
  if (node.type === "ImportDeclaration" || node.type === "ExportAllDeclaration") return;
  see(node);
  for (const [name, part] of Object.entries(node)) {
    if (name === "key" && !(node as { computed?: boolean }).computed) continue;
    if (node.type === "TaggedTemplateExpression" && name === "quasi") continue;
    for (const child of Array.isArray(part) ? part : [part])
      if (typeof child?.type === "string") visit(child, see);
  }
}
