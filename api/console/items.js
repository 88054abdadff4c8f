import { ask, lacksKey, Refusal } from "./ask.js";
import { act, announce, at, button, make, showMs, tell } from "./page.js";
import { lookUp } from "./receipt.js";
import { getPath, ITEMS, submit, TONES } from "./travel.js";

/** The newest items: shown, edited in place, deleted; and a new one. */

const PAGE_ITEMS = 10;
/** One text has one idempotency key until it is accepted, however often it is sent. */
let draft = { nombre: "", key: "" };
let next = null;

export function startItems() {
  at("write-form").addEventListener("submit", (event) => {
    event.preventDefault();
    act(at("write-form"), at("write-note"), writeNew);
  });
  // The second click of a double click would find the field empty, and complain.
  at("write-form").addEventListener("click", (event) => {
    if (event.detail > 1 && event.target.type === "submit") event.preventDefault();
  });
  at("refresh").addEventListener("click", () => loadItems());
  at("older").addEventListener("click", () => loadItems(next));
}

async function writeNew() {
  const field = at("nombre");
  const nombre = field.value;
  if (nombre !== draft.nombre) draft = { nombre, key: mintKey() };
  const request = { method: "POST", headers: { "Idempotency-Key": draft.key }, value: { nombre } };
  // What is sent again by itself is what the field shows.
  field.readOnly = true;
  const write = await submit("create", nombre, ITEMS, request, at("write-note")).finally(() => {
    field.readOnly = false;
  });
  tell(at("write-note"), []);
  draft = { nombre: "", key: "" };
  field.value = "";
  write.settled.then(() => {
    if (TONES[write.outcome] !== "good" || getRow(write.id)) return;
    at("rows").prepend(itemRow({ id: write.id, nombre }));
    tell(at("items-note"), []);
  });
}

/** 128 random bits. (`crypto.randomUUID` is not there where a page comes by plain http.) */
function mintKey() {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}

/** Newest first: the first page, or with a cursor the next. A row that is being edited stays. */
export function loadItems(cursor = undefined) {
  return act(at("items"), at("items-note"), async () => {
    if (lacksKey("reads")) return tell(at("items-note"), ["Reading requires an API key."]);
    const query = new URLSearchParams({
      order: "desc",
      limit: String(PAGE_ITEMS),
      ...(cursor && { cursor }),
    });
    const { body } = await ask(`${ITEMS}?${query}`);
    const isOpen = (row) => row?.querySelector("form, .versions");
    const kept = (id) => (isOpen(getRow(id)) ? getRow(id) : undefined);
    const rows = body.data.map((item) => kept(item.id) ?? itemRow(item));
    const old = [...at("rows").children];
    const open = old.filter((row) => isOpen(row) && !rows.includes(row));
    if (!cursor) for (const row of old) if (!isOpen(row)) row.remove();
    // In the order of the answer, without moving the row that someone types in.
    let place = cursor ? null : at("rows").firstChild;
    for (const row of rows) {
      if (row === place) place = place.nextSibling;
      else if (!getRow(row.dataset.id)) at("rows").insertBefore(row, place);
    }
    if (!cursor) for (const row of open) at("rows").prepend(row);
    next = body.next;
    at("older").hidden = next === null;
    if (!at("rows").firstChild) tell(at("items-note"), ["No temas yet. Write the first one."]);
  });
}

function getRow(id) {
  return [...at("rows").children].find((row) => row.dataset.id === id);
}

/** An item in the list: shown, edited in place, or about to be deleted. */
function itemRow(item) {
  const row = make("li", { className: "item" });
  row.dataset.id = item.id;
  const note = make("div", { className: "note" });
  show(item);
  return row;

  /** Shows it; returns the button that gets the focus where something before had it. */
  function show(current, sentences = []) {
    item = current;
    const edit = button("Edit", () => run(async () => openEditor(await load())));
    const remove = button("Delete", () => run(async () => openDelete(await load())), "calm");
    const receipt = button("Receipt", () => run(showReceipt), "calm");
    for (const each of [edit, remove, receipt])
      each.ariaLabel = `${each.textContent} ${item.nombre}`;
    fillShown(receipt, remove, edit);
    tell(note, sentences);
    return edit;
  }

  async function showReceipt() {
    const { etag } = await load();
    await lookUp(`${getPath(item.id)}/writes/${etag.replaceAll('"', "")}`);
  }

  function openEditor({ current, etag }, nombre = current.nombre) {
    const field = make("textarea", { value: nombre, rows: 1, required: true, dir: "auto" });
    field.ariaLabel = "Nombre";
    const save = make("button", { className: "main", textContent: "Save" });
    const cancel = button("Cancel", () => show(current).focus());
    const form = make("form", {}, field, make("div", { className: "row" }, save, cancel));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      run(() => put(current, etag, field.value));
    });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") cancel.click();
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    fill(form, make("code", { textContent: `version ${getVersion(etag)}` }));
    tell(note, []);
    field.select();
    field.focus();
  }

  function openDelete({ current, etag }) {
    item = current;
    const remove = button("Delete it", () => run(() => drop(etag)), "bad");
    const keep = button("Keep it", () => show(item).focus());
    fillShown(remove, keep);
    tell(note, ["Delete this item?"]);
    keep.focus();
  }

  async function put(current, etag, nombre) {
    const headers = { "If-Match": etag };
    const request = { method: "PUT", headers, value: { ...current, nombre } };
    try {
      const lagMs = await change("put", nombre, request);
      show({ ...current, nombre }, [`Applied after ${showMs(lagMs)}.`]).focus();
    } catch (refusal) {
      if (refusal.status !== 412) throw refusal;
      const stored = await load();
      if (stored.current.nombre !== nombre) return showConflict(stored, nombre, getVersion(etag));
      const why =
        "The stored item equals yours: an earlier request arrived, or someone else wrote the same.";
      show(stored.current, [why]).focus();
    }
  }

  async function drop(etag) {
    try {
      await change("delete", item.nombre, { method: "DELETE", headers: { "If-Match": etag } });
    } catch (refusal) {
      if (refusal.status !== 412) throw refusal;
      return showConflict(await load(), null, getVersion(etag));
    }
    announce("Deleted.");
    (row.nextElementSibling?.querySelector("button") ?? at("items-title")).focus();
    row.remove();
  }

  /** Sends a change of the item. Resolves with its lag once it is applied. */
  async function change(kind, nombre, request) {
    const write = await submit(kind, nombre, getPath(item.id), request);
    tell(note, ["Accepted; waiting until it is settled."]);
    const { outcome, reason, lagMs } = await write.settled;
    const isOutrun = outcome === "conflict" || outcome === "superseded";
    if (outcome === "applied") return lagMs;
    throw new Refusal(isOutrun ? 412 : 422, [reason ?? `The outcome is ${outcome}.`]);
  }

  /** Somebody else was faster. Both versions stand side by side; `mine` is null for a delete. */
  function showConflict(stored, mine, mineFrom) {
    item = stored.current;
    const side = (title, text, version) =>
      make(
        "div",
        {},
        make("h3", { textContent: title }),
        make("p", { className: "text", dir: "auto", textContent: text }),
        make("code", { textContent: version }),
      );
    const theirs = side("Stored now", item.nombre, `version ${getVersion(stored.etag)}`);
    const yours =
      mine === null
        ? side("You wanted", "To delete it", `as it was at ${mineFrom}`)
        : side("Yours", mine, `made from ${mineFrom}`);
    const keep = button("Keep the stored item", () => show(item).focus());
    const force =
      mine === null
        ? button("Delete anyway", () => run(() => drop(stored.etag)), "bad")
        : button("Overwrite with yours", () => run(() => put(item, stored.etag, mine)));
    const again = button("Edit yours", () => openEditor(stored, mine));
    const buttons = make(
      "div",
      { className: "row" },
      keep,
      force,
      ...(mine === null ? [] : [again]),
    );
    row.replaceChildren(note, make("div", { className: "versions" }, theirs, yours), buttons);
    const why = "Someone else changed this item after you opened it. Your change was not stored.";
    tell(note, [why, "The version in If-Match is no longer the current one."], "warn");
    keep.focus();
  }

  async function load() {
    const { body, etag } = await ask(getPath(item.id));
    return { current: body, etag };
  }

  function run(action) {
    return act(row, note, action, showGone);
  }

  /** A deleted item stays in sight, and so does what was typed for it. */
  function showGone({ status }) {
    if (status !== 410 && status !== 404) return;
    const typed = row.querySelector("textarea")?.value;
    fillShown();
    row.querySelector(".text").classList.add("gone");
    if (typed === undefined || typed === item.nombre) return;
    note.append(make("p", { textContent: `Your text: ${typed}` }));
    note.append(
      button("Write it as a new tema", () => {
        at("nombre").value = typed;
        at("nombre").focus();
      }),
    );
  }

  function fillShown(...buttons) {
    const text = make("p", { className: "text", dir: "auto", textContent: item.nombre });
    const bar = make(
      "div",
      { className: "bar" },
      text,
      make("div", { className: "row" }, ...buttons),
    );
    fill(bar, make("code", { textContent: item.id }));
  }

  function fill(...parts) {
    row.replaceChildren(...parts, note);
  }
}

function getVersion(etag) {
  return etag.replaceAll('"', "");
}
