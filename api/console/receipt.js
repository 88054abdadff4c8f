import { ask, lacksKey, Refusal } from "./ask.js";
import { act, at, link, make, showMs, showTime } from "./page.js";
import { TONES, writes } from "./travel.js";

/** A receipt looked up by hand. */

const PATH = /\/api\/[^/\s]+\/[^/\s]+\/writes\/[^/\s?#]+/;

export function startReceipts() {
  at("lookup-form").addEventListener("submit", (event) => {
    event.preventDefault();
    lookUp(at("receipt").value);
  });
}

/** @param {string} text an address of a receipt, or two ids, or the id of a write of this page */
export function lookUp(text) {
  return act(at("lookup-form"), at("lookup-note"), async () => {
    at("lookup-result").replaceChildren();
    at("receipt").value = text.trim();
    const path = findPath(text.trim());
    if (lacksKey("reads")) throw new Refusal(401, ["Reading requires an API key."]);
    const { body } = await ask(path, { headers: { Prefer: "wait=2" } });
    at("lookup-result").replaceChildren(receiptList(path, body));
    at("lookup-title").focus();
    at("lookup").scrollIntoView({ block: "nearest" });
  });
}

function findPath(text) {
  const [path] = PATH.exec(text) ?? [];
  if (path) return path;
  const [item, write, more] = text.split(/[\s,]+/);
  if (item && write && more === undefined) {
    return `/api/data/${encodeURIComponent(item)}/writes/${encodeURIComponent(write)}`;
  }
  const own = writes.find((each) => each.write === text);
  if (own) return own.receipt;
  throw new Refusal(422, ["Enter the path of a receipt, or an item id, a space and a write id."]);
}

function receiptList(path, receipt) {
  const { status, outcome, lagMs, acceptedAt, settledAt, version, reason, trace } = receipt;
  const day = (instant) => `${new Date(instant).toLocaleDateString("sv")} ${showTime(instant)}`;
  const rows = [
    ["Outcome", outcome ?? `${status}, not settled yet`, TONES[outcome] ?? ""],
    ["Lag", lagMs === null ? "–" : showMs(lagMs)],
    ["Accepted", day(acceptedAt)],
    ["Settled", settledAt ? day(settledAt) : "–"],
    ["Reason", reason],
    ["Version", version, "id"],
    ["Trace", trace ?? "–", "id"],
  ];
  const list = make("dl", { className: "receipt" });
  for (const [name, text, className = ""] of rows) {
    if (text)
      list.append(make("dt", { textContent: name }), make("dd", { textContent: text, className }));
  }
  list.append(
    make("dt", { textContent: "Address" }),
    make("dd", { className: "id" }, link(path, path)),
  );
  return list;
}
