import { ask } from "./ask.js";
import { act, at, make } from "./page.js";

/** The API's reference, drawn from its OpenAPI document. */

const METHODS = ["get", "post", "put", "delete"];

export function loadReference() {
  return act(at("reference"), at("reference-note"), async () => {
    const { body: openapi } = await ask("/openapi.json");
    const { info, paths } = openapi;
    at("reference-about").textContent =
      `${info.summary} OpenAPI ${openapi.openapi}, version ${info.version}.`;
    at("operations").replaceChildren(
      ...Object.entries(paths).flatMap(([path, methods]) =>
        METHODS.filter((method) => methods[method]).map((method) =>
          operation(openapi, path, method, methods),
        ),
      ),
    );
  });
}

function operation(openapi, path, method, methods) {
  const { summary, parameters = [], requestBody, responses } = methods[method];
  const resolve = (part) => (part.$ref ? find(openapi, part.$ref) : part);
  const all = [...(methods.parameters ?? []), ...parameters].map(resolve);
  const details = make(
    "details",
    {},
    make(
      "summary",
      {},
      make("b", { className: "method", textContent: method.toUpperCase() }),
      make("code", { textContent: path }),
      make("span", { className: "quiet", textContent: plain(summary) }),
    ),
  );
  // Most are never opened.
  details.addEventListener("toggle", fill, { once: true });
  return details;

  function fill() {
    if (all.length > 0) {
      const rows = all.map(({ name, in: place, schema, description, required }) => [
        [make("code", { textContent: name })],
        [`${place}${required ? ", required" : ""}`],
        [[getType(openapi, schema), plain(description)].filter(Boolean).join(". ")],
      ]);
      details.append(table("Parameters", ["Name", "In", "What"], rows));
    }
    for (const [type, { schema, examples = {} }] of Object.entries(requestBody?.content ?? {})) {
      details.append(make("h3", { textContent: `Body: ${type}` }));
      details.append(make("p", { textContent: getType(openapi, schema) }));
      for (const { value } of Object.values(examples)) {
        const text = typeof value === "string" ? value.trim() : JSON.stringify(value);
        details.append(make("pre", { textContent: text, tabIndex: 0 }));
      }
    }
    const rows = Object.entries(responses).map(([status, response]) => {
      const { description, content = {} } = resolve(response);
      // All problems are of one form.
      const types = Object.entries(content).map(([type, { schema }]) =>
        schema && !type.includes("problem") ? `${type}: ${getType(openapi, schema)}` : type,
      );
      return [[make("code", { textContent: status })], [description], [types.join("; ")]];
    });
    details.append(table("Answers", ["Status", "When", "Content"], rows));
  }
}

function table(caption, heads, rows) {
  const head = make(
    "tr",
    {},
    ...heads.map((textContent) => make("th", { textContent, scope: "col" })),
  );
  const lines = rows.map((cells) =>
    make("tr", {}, ...cells.map((cell) => make("td", {}, ...cell))),
  );
  return make(
    "table",
    {},
    make("caption", { textContent: caption }),
    make("thead", {}, head),
    make("tbody", {}, ...lines),
  );
}

/** Without Markdown's backticks. */
function plain(text = "") {
  return text.replaceAll("`", "");
}

/** A schema in a few words. */
function getType(openapi, schema = {}) {
  if (schema.$ref) {
    const { properties, type } = find(openapi, schema.$ref);
    const name = schema.$ref.split("/").at(-1);
    if (type !== "object" || !properties) return name;
    const fields = Object.entries(properties).map(
      ([field, of]) => `${field}: ${getType(openapi, of)}`,
    );
    return `${name} { ${fields.join(", ")} }`;
  }
  if (schema.anyOf) return schema.anyOf.map((each) => getType(openapi, each)).join(", or ");
  if (schema.enum) return schema.enum.map((each) => JSON.stringify(each)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.type === "array") return `list of ${getType(openapi, schema.items)}`;
  const type = [schema.type ?? "anything"].flat().join(" or ");
  const bounds = [
    ["from", schema.minimum ?? schema.minLength],
    ["to", schema.maximum ?? schema.maxLength],
    ["default", schema.default],
  ].flatMap(([word, value]) => (value === undefined ? [] : [`${word} ${value}`]));
  return [type, ...bounds].join(" ");
}

function find(openapi, reference) {
  return reference
    .slice(2)
    .split("/")
    .reduce((part, key) => part[key], openapi);
}
