import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** A message or an enum as protobufjs writes them to JSON, or a namespace of them. */
type Definition = {
  nested?: Record<string, Definition>;
  fields?: Record<string, Field>;
  oneofs?: Record<string, { oneof: string[] }>;
  values?: Record<string, number>;
};
type Field = {
  type: string;
  rule?: "repeated";
  keyType?: string;
  options?: Record<string, unknown>;
};
/** A type, and the names of the scopes around it, in which its fields' types are looked up. */
type Found = { definition: Definition; scope: string[] };

/** Google's packages that have protocol definitions, as development dependencies. */
export type DefinitionPackage =
  | "appengine-admin"
  | "monitoring"
  | "monitoring-dashboards"
  | "pubsub-api"
  | "run"
  | "sql";

/** How the JSON of each well-known type looks. */
const WELL_KNOWN: Record<string, (value: unknown) => boolean> = {
  "google.protobuf.Duration": (value) => /^-?\d+(\.\d{1,9})?s$/.test(String(value)),
  "google.protobuf.Timestamp": (value) => !Number.isNaN(Date.parse(String(value))),
  "google.protobuf.BoolValue": (value) => typeof value === "boolean",
  "google.protobuf.StringValue": (value) => typeof value === "string",
  "google.protobuf.DoubleValue": (value) => typeof value === "number",
  "google.protobuf.Int32Value": isWhole,
  "google.protobuf.Int64Value": isWhole,
  "google.protobuf.Struct": (value) => typeof value === "object",
};
const SCALARS: Record<string, (value: unknown) => boolean> = {
  string: (value) => typeof value === "string",
  bytes: (value) => typeof value === "string",
  bool: (value) => typeof value === "boolean",
  double: (value) => typeof value === "number",
  float: (value) => typeof value === "number",
  int32: isWhole,
  int64: isWhole,
  uint32: isWhole,
  uint64: isWhole,
};
/** What Terraform fills in when it is applied: `${google_project.project.number}`. */
const REFERENCE = /^\$\{.+\}$/s;

/**
 * Holds JSON against a message of Google's definitions. Returns a sentence for each field that does not
 * exist or that only Google sets, value of another type, unknown name of an enum, missing required field,
 * and pair of fields of which only one may be set. A reference of Terraform's may be any value.
 */
export function checkMessage(
  packageName: DefinitionPackage,
  typeName: string,
  value: unknown,
): string[] {
  const root: Definition = require(`@google-cloud/${packageName}/build/protos/protos.json`);
  const found = findType(root, typeName, []);
  if (!found) throw new Error(`@google-cloud/${packageName} does not define ${typeName}.`);
  return checkFields(root, found, value, typeName.split(".").at(-1) ?? "");
}

function checkFields(root: Definition, found: Found, value: unknown, place: string): string[] {
  if (isReference(value)) return [];
  if (!isObject(value)) return [`${place}: ${JSON.stringify(value)} is not an object.`];
  const { fields = {}, oneofs = {} } = found.definition;
  const tooMany = Object.entries(oneofs).flatMap(([name, { oneof }]) => {
    const set = oneof.filter((field) => value[field] !== undefined);
    return set.length > 1 ? [`${place}: only one of ${set.join(", ")} may be set (${name}).`] : [];
  });
  const missing = Object.entries(fields)
    .filter(([name, field]) => getBehavior(field) === "REQUIRED" && value[name] === undefined)
    .map(([name]) => `${place}: ${name} is required.`);
  const inner = Object.entries(value).flatMap(([name, one]) => {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    const at = `${place}.${name}`;
    if (!field) return [`${at}: there is no such field.`];
    if (getBehavior(field) === "OUTPUT_ONLY") return [`${at}: only Google sets it.`];
    return checkField(root, found.scope, field, one, at);
  });
  return [...tooMany, ...missing, ...inner];
}

function checkField(
  root: Definition,
  scope: string[],
  field: Field,
  value: unknown,
  place: string,
): string[] {
  if (isReference(value)) return [];
  if (field.keyType) {
    if (!isObject(value)) return [`${place}: must be a map.`];
    return Object.entries(value).flatMap(([key, one]) =>
      checkValue(root, scope, field.type, one, `${place}["${key}"]`),
    );
  }
  if (field.rule !== "repeated") return checkValue(root, scope, field.type, value, place);
  if (!Array.isArray(value)) return [`${place}: must be a list.`];
  return value.flatMap((one, index) =>
    checkValue(root, scope, field.type, one, `${place}[${index}]`),
  );
}

function checkValue(
  root: Definition,
  scope: string[],
  type: string,
  value: unknown,
  place: string,
): string[] {
  if (isReference(value)) return [];
  const isOfType = WELL_KNOWN[type.replace(/^\./, "")] ?? SCALARS[type];
  const wrong = `${place}: ${JSON.stringify(value)} is not a ${type}.`;
  if (isOfType) return isOfType(value) ? [] : [wrong];
  const found = findType(root, type, scope);
  if (!found) throw new Error(`${place}: its type ${type} is not defined.`);
  const { values } = found.definition;
  if (!values) return checkFields(root, found, value, place);
  return typeof value === "string" && Object.hasOwn(values, value) ? [] : [wrong];
}

/** Looks a name up in the scope and then in each around it, as protobuf does. */
function findType(root: Definition, type: string, scope: string[]): Found | undefined {
  const names = type.replace(/^\./, "").split(".");
  for (let depth = type.startsWith(".") ? 0 : scope.length; depth >= 0; depth -= 1) {
    const path = [...scope.slice(0, depth), ...names];
    let definition: Definition | undefined = root;
    for (const name of path) definition = definition?.nested?.[name];
    if (definition?.fields || definition?.values) return { definition, scope: path };
  }
  return undefined;
}

function getBehavior({ options }: Field): unknown {
  return options?.["(google.api.field_behavior)"];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isReference(value: unknown): boolean {
  return typeof value === "string" && REFERENCE.test(value);
}

/** In JSON, 64-bit integers may be texts. */
function isWhole(value: unknown): boolean {
  return Number.isInteger(value) || (typeof value === "string" && /^-?\d+$/.test(value));
}
