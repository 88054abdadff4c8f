import type { MessageContent } from "../../common/write.ts";
import type { Call } from "./requests.ts";

/** What a client may do next, by weight. */
const WEIGHTS = {
  create: 20,
  put: 25,
  delete: 7,
  ifMatch: 16,
  deleteIfMatch: 4,
  ifNoneMatch: 6,
  ifAny: 4,
  keyed: 8,
  bulk: 4,
  poison: 4,
  invalid: 2,
  garbage: 2,
  read: 12,
  readAfter: 8,
  readUnlessSame: 2,
  page: 4,
} as const;
type Kind = keyof typeof WEIGHTS;
const KINDS = Object.entries(WEIGHTS).flatMap(([kind, weight]) =>
  Array<Kind>(weight).fill(kind as Kind),
);

/** A kind, by a number from 0 to 1. */
export function drawKind(draw: number): Kind {
  return KINDS[Math.floor(draw * KINDS.length)] as Kind;
}

/** A request for one item; a put where its kind needs a version and none is known. */
export function buildCall(
  kind: Kind,
  of: {
    /** The address of the collection. */
    collection: string;
    item: string;
    /** The newest version of the item that is known. */
    version: string | undefined;
    name: string;
    prefer: Record<string, string>;
    /** A delete follows the version, which may be in flight, where items have owners. */
    isOwned: boolean;
    /** Of a page. */
    order: "asc" | "desc";
  },
): Call {
  const { collection, item, version, name, prefer, isOwned, order } = of;
  const url = `${collection}/${item}`;
  const body = { nombre: `tema ${name}` };
  const put = { method: "PUT", url, body };
  const ifMatch = { "if-match": `"${version}"`, ...prefer };
  if (kind === "read") return { method: "GET", url };
  if (kind === "readAfter" && version)
    return { method: "GET", url: `${url}?after=${version}`, headers: prefer };
  if (kind === "readUnlessSame" && version)
    return { method: "GET", url, headers: { "if-none-match": `"${version}"` } };
  if (kind === "page") return { method: "GET", url: `${collection}?limit=20&order=${order}` };
  if (kind === "create") return { method: "POST", url: collection, body, headers: prefer };
  const after = isOwned && version ? `?after=${version}` : "";
  if (kind === "delete") return { method: "DELETE", url: url + after, headers: prefer };
  if (kind === "invalid") return { ...put, body: { nombre: 7, extra: name }, headers: prefer };
  if (kind === "poison") return { ...put, body: { nombre: `poison ${name}` }, headers: prefer };
  if (kind === "ifNoneMatch") return { ...put, headers: { "if-none-match": "*", ...prefer } };
  if (kind === "ifAny") return { ...put, headers: { "if-match": "*", ...prefer } };
  if (kind === "ifMatch" && version) return { ...put, headers: ifMatch };
  if (kind === "deleteIfMatch" && version) return { method: "DELETE", url, headers: ifMatch };
  return { ...put, headers: prefer };
}

/** A message that is not a write, by a number from 0 to 1. */
export function buildGarbage(name: string, draw: number): MessageContent {
  const messages: MessageContent[] = [
    { attributes: {}, data: Buffer.from(name) },
    {
      attributes: { "ce-specversion": "1.0", "ce-type": "of no kind" },
      data: Buffer.from([255]),
    },
    {
      attributes: {
        "ce-specversion": "1.0",
        "ce-id": `no id ${name}`,
        "ce-source": "/api/data",
        "ce-type": "dev.constancia.put",
        "ce-subject": "hot-0",
      },
      data: Buffer.from('{"nombre":"garbage"}'),
    },
  ];
  return messages[Math.floor(draw * messages.length)] as MessageContent;
}
