import { ask, Refusal } from "./ask.js";
import { act, announce, at, button, make, showMs, tell } from "./page.js";
import { lookUp } from "./receipt.js";
import { getPath, submit } from "./travel.js";

/**
 * The element of an item in the list, which is shown, edited in place, or about to be deleted. All that
 * follows is given its `row`: the element, the item as it was read last, and the note below it.
 */
export function itemRow(item) {
  const element = make("li", { className: "item" });
  element.dataset.id = item.id;
  const row = { element, item, note: make("div", { className: "note" }) };
  showItem(row, item);
  return element;
}

/** Shows `current`; returns the button that gets the focus where something before had it. */
function showItem(row, current, sentences = []) {
  row.item = current;
  const edit = button("Edit", () => runIn(row, async () => openEditor(row, await loadItem(row))));
  const remove = button(
    "Delete",
    () => runIn(row, async () => openDelete(row, await loadItem(row))),
    "calm",
  );
  const receipt = button("Receipt", () => runIn(row, () => showReceipt(row)), "calm");
  for (const each of [edit, remove, receipt])
    each.ariaLabel = `${each.textContent} ${row.item.nombre}`;
  fillShown(row, receipt, remove, edit);
  tell(row.note, sentences);
  return edit;
}

async function showReceipt(row) {
  const { etag } = await loadItem(row);
  await lookUp(`${getPath(row.item.id)}/writes/${getVersion(etag)}`);
}

function openEditor(row, { current, etag }, nombre = current.nombre) {
  const field = make("textarea", { value: nombre, rows: 1, required: true, dir: "auto" });
  field.ariaLabel = "Nombre";
  const save = make("button", { className: "main", textContent: "Save" });
  const cancel = button("Cancel", () => showItem(row, current).focus());
  const form = make("form", {}, field, make("div", { className: "row" }, save, cancel));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    runIn(row, () => putItem(row, current, etag, field.value));
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") cancel.click();
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  fillRow(row, form, make("code", { textContent: `version ${getVersion(etag)}` }));
  tell(row.note, []);
  field.select();
  field.focus();
}

function openDelete(row, { current, etag }) {
  row.item = current;
  const remove = button("Delete it", () => runIn(row, () => dropItem(row, etag)), "bad");
  const keep = button("Keep it", () => showItem(row, row.item).focus());
  fillShown(row, remove, keep);
  tell(row.note, ["Delete this item?"]);
  keep.focus();
}

async function putItem(row, current, etag, nombre) {
  const headers = { "If-Match": etag };
  const request = { method: "PUT", headers, value: { ...current, nombre } };
  try {
    const lagMs = await changeItem(row, "put", nombre, request);
    showItem(row, { ...current, nombre }, [`Applied after ${showMs(lagMs)}.`]).focus();
  } catch (refusal) {
    if (refusal.status !== 412) throw refusal;
    const stored = await loadItem(row);
    if (stored.current.nombre !== nombre)
      return showConflict(row, stored, nombre, getVersion(etag));
    const why =
      "The stored item equals yours: an earlier request arrived, or someone else wrote the same.";
    showItem(row, stored.current, [why]).focus();
  }
}

async function dropItem(row, etag) {
  try {
    await changeItem(row, "delete", row.item.nombre, {
      method: "DELETE",
      headers: { "If-Match": etag },
    });
  } catch (refusal) {
    if (refusal.status !== 412) throw refusal;
    return showConflict(row, await loadItem(row), null, getVersion(etag));
  }
  announce("Deleted.");
  (row.element.nextElementSibling?.querySelector("button") ?? at("items-title")).focus();
  row.element.remove();
}

/** Sends a change of the item. Resolves with its lag once it is applied. */
async function changeItem(row, kind, nombre, request) {
  const write = await submit(kind, nombre, getPath(row.item.id), request);
  tell(row.note, ["Accepted; waiting until it is settled."]);
  const { outcome, reason, lagMs } = await write.settled;
  const isOutrun = outcome === "conflict" || outcome === "superseded";
  if (outcome === "applied") return lagMs;
  throw new Refusal(isOutrun ? 412 : 422, [reason ?? `The outcome is ${outcome}.`]);
}

/** Somebody else was faster. Both versions stand side by side; `mine` is null for a delete. */
function showConflict(row, stored, mine, mineFrom) {
  row.item = stored.current;
  const side = (title, text, version) =>
    make(
      "div",
      {},
      make("h3", { textContent: title }),
      make("p", { className: "text", dir: "auto", textContent: text }),
      make("code", { textContent: version }),
    );
  const theirs = side("Stored now", row.item.nombre, `version ${getVersion(stored.etag)}`);
  const yours =
    mine === null
      ? side("You wanted", "To delete it", `as it was at ${mineFrom}`)
      : side("Yours", mine, `made from ${mineFrom}`);
  const keep = button("Keep the stored item", () => showItem(row, row.item).focus());
  const force =
    mine === null
      ? button("Delete anyway", () => runIn(row, () => dropItem(row, stored.etag)), "bad")
      : button("Overwrite with yours", () =>
          runIn(row, () => putItem(row, row.item, stored.etag, mine)),
        );
  const again = button("Edit yours", () => openEditor(row, stored, mine));
  const buttons = make("div", { className: "row" }, keep, force, ...(mine === null ? [] : [again]));
  row.element.replaceChildren(
    row.note,
    make("div", { className: "versions" }, theirs, yours),
    buttons,
  );
  const why = "Someone else changed this item after you opened it. Your change was not stored.";
  tell(row.note, [why, "The version in If-Match is no longer the current one."], "warn");
  keep.focus();
}

async function loadItem(row) {
  const { body, etag } = await ask(getPath(row.item.id));
  return { current: body, etag };
}

function runIn(row, action) {
  return act(row.element, row.note, action, (refusal) => showGone(row, refusal));
}

/** A deleted item stays in sight, and so does what was typed for it. */
function showGone(row, { status }) {
  if (status !== 410 && status !== 404) return;
  const typed = row.element.querySelector("textarea")?.value;
  fillShown(row);
  row.element.querySelector(".text").classList.add("gone");
  if (typed === undefined || typed === row.item.nombre) return;
  row.note.append(make("p", { textContent: `Your text: ${typed}` }));
  row.note.append(
    button("Write it as a new tema", () => {
      at("nombre").value = typed;
      at("nombre").focus();
    }),
  );
}

function fillShown(row, ...buttons) {
  const text = make("p", { className: "text", dir: "auto", textContent: row.item.nombre });
  const bar = make(
    "div",
    { className: "bar" },
    text,
    make("div", { className: "row" }, ...buttons),
  );
  fillRow(row, bar, make("code", { textContent: row.item.id }));
}

function fillRow(row, ...parts) {
  row.element.replaceChildren(...parts, row.note);
}

function getVersion(etag) {
  return etag.replaceAll('"', "");
}
