import { ask, lacksKey } from "./ask.js";
import { itemRow } from "./item-row.js";
import { act, at, tell } from "./page.js";
import { ITEMS, submit, TONES } from "./travel.js";

/** The newest items, page by page; and a new one. */

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
