/** What the parts of the page are made with. */

/**
 * @param {string} id
 * @returns {any} the element; the page is served with all of them
 */
export function at(id) {
  return document.getElementById(id);
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Text goes in as text, never as markup. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export function button(textContent, onclick, className = "") {
  return make("button", { type: "button", textContent, onclick, className });
}

/** Opens beside the page, which goes on. */
export function link(textContent, href) {
  return make("a", { textContent, href, target: "_blank", rel: "noopener" });
}

/** Does one thing at a time in a part of the page, and shows there what went wrong. */
export async function act(part, note, action, onRefusal = (_refusal) => {}) {
  if (part.ariaBusy === "true") return;
  part.ariaBusy = "true";
  tell(note, []);
  try {
    await action();
  } catch (error) {
    tell(note, error.sentences ?? [`This page failed: ${error.message}`], "bad");
    await onRefusal(error);
  } finally {
    part.ariaBusy = "false";
  }
}

export function tell(note, sentences, tone = "") {
  note.className = `note ${tone}`;
  note.replaceChildren(...sentences.map((textContent) => make("p", { textContent })));
  if (sentences.length > 0) announce(sentences.join(" "));
}

/** For those who hear the page. */
export function announce(sentence) {
  at("voice").textContent = sentence;
}

/** @param {number} ms */
export function showMs(ms) {
  if (ms < 10_000) return `${Math.round(ms).toLocaleString("en")} ms`;
  return `${(ms / 1_000).toLocaleString("en", { maximumFractionDigits: 1 })} s`;
}

/** A local time of day to the millisecond. */
export function showTime(instant) {
  const { format } = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
  const date = new Date(instant);
  return `${format(date)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}
