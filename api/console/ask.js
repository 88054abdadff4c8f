import { at, sleep, tell } from "./page.js";

/** Every request of the page, and what it does while the API is away. */

const ANSWER_DEADLINE_MS = 15_000;
/** The statuses of a proxy whose backend, the API, does not answer. */
const AWAY_STATUSES = [0, 502, 504];
/** Statuses after which nobody knows what became of a request, or that pass by themselves. */
const UNSURE_STATUSES = [...AWAY_STATUSES, 429, 500, 503];
/** Short at first, because a restart takes a second; later it costs nobody much. */
const PROBE_MS = { first: 500, max: 8_000 };
const PROBE_DEADLINE_MS = 3_000;
const GOOD_NEWS_MS = 6_000;

let apiKey = "";
/** While the API is away: since when, and what to resolve once it is back. */
let away = null;
let hurry = () => {};
let goodNewsEnd = 0;

/** Why a request came to nothing, as sentences; status 0 where there was no answer. */
export class Refusal extends Error {
  constructor(status, sentences, retryAfterMs = 0) {
    super(sentences[0]);
    Object.assign(this, { status, sentences, retryAfterMs });
    this.isUnsure = UNSURE_STATUSES.includes(status);
  }
}

/** One request. Resolves with body and ETag of a good answer; else throws a Refusal. */
export async function ask(path, { method = "GET", headers = {}, value = undefined } = {}) {
  const key = apiKey && { Authorization: `Bearer ${apiKey}` };
  const type = value && { "Content-Type": "application/json" };
  const response = await fetch(path, {
    method,
    headers: { Accept: "application/json", ...key, ...type, ...headers },
    body: value && JSON.stringify(value),
    cache: "no-store",
    signal: AbortSignal.timeout(ANSWER_DEADLINE_MS),
  }).catch(() => null);
  const status = response?.status ?? 0;
  if (AWAY_STATUSES.includes(status)) {
    goAway();
    throw new Refusal(status, ["The API cannot be reached.", "What you typed stays here."]);
  }
  comeBack();
  const text = await response.text().catch(() => "");
  const isJson = /json/.test(response.headers.get("Content-Type"));
  const body = isJson && text ? JSON.parse(text) : text;
  if (response.ok) return { body, etag: response.headers.get("ETag") };
  const { detail = `The API answered with status ${status}.`, errors = [] } = isJson ? body : {};
  const more = errors
    .map((error) => error.detail)
    .filter((each) => !detail.toLowerCase().includes(each.toLowerCase()));
  const retryAfterMs = 1_000 * Number(response.headers.get("Retry-After") ?? 0);
  if (status === 401) askForKey(detail, method);
  throw new Refusal(status, [detail, ...more], retryAfterMs);
}

/** Whether reads, writes or metrics would be refused for want of a key, so that nothing need be asked. */
export function lacksKey(what) {
  const { access, metrics } = document.documentElement.dataset;
  if (apiKey) return false;
  if (what === "metrics") return metrics === "keys";
  return access === "keys" || (access === "public-reads" && what === "writes");
}

/** `onChange` is called when a key comes or goes. */
export function listenForKey(onChange) {
  const { access, metrics } = document.documentElement.dataset;
  at("key-section").hidden = access === "public" && metrics !== "keys";
  at("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    useKey(at("key").value);
    at("nombre").focus();
  });
  at("key-forget").addEventListener("click", () => {
    useKey("");
    at("key").focus();
  });

  function useKey(key) {
    apiKey = key;
    at("key").value = "";
    at("key-form").hidden = key !== "";
    at("key-used").hidden = key === "";
    tell(at("key-note"), []);
    onChange();
  }
}

/** A key that was refused is forgotten; and what was refused is not asked again without one. */
function askForKey(detail, method) {
  const { dataset } = document.documentElement;
  if (!apiKey && method === "GET") dataset.access = "keys";
  else if (dataset.access === "public") dataset.access = "public-reads";
  apiKey = "";
  const isNews = at("key-section").hidden || at("key-form").hidden;
  at("key-section").hidden = at("key-form").hidden = false;
  at("key-used").hidden = true;
  tell(at("key-note"), [detail], "bad");
  if (isNews) at("key").focus();
}

/** Whether the API is away, so that nothing needs to be asked that can wait. */
export function isAway() {
  return away !== null;
}

/** Resolves once the API answers again; at once where it does. */
export async function untilBack() {
  await away?.promise;
}

/** Looks for the API until it answers. The page calls `onBack` then. */
export function watchConnection(onBack) {
  at("try-now").addEventListener("click", () => hurry());
  addEventListener("online", () => hurry());
  addEventListener("api-back", onBack);
}

function goAway() {
  if (away) return;
  away = { since: Date.now(), ...Promise.withResolvers() };
  const since = new Date(away.since).toLocaleTimeString();
  showBanner(
    "bad",
    `The API cannot be reached since ${since}. What you typed stays here; this page goes on by itself when it is back.`,
  );
  probe();
}

async function probe() {
  for (let pauseMs = PROBE_MS.first; away; pauseMs = Math.min(2 * pauseMs, PROBE_MS.max)) {
    const hurried = new Promise((resolve) => {
      hurry = () => resolve(undefined);
    });
    await Promise.race([sleep(pauseMs), hurried]);
    const signal = AbortSignal.timeout(PROBE_DEADLINE_MS);
    const answer = await fetch("/health/live", { cache: "no-store", signal }).catch(() => null);
    if (answer && !AWAY_STATUSES.includes(answer.status)) comeBack();
  }
}

function comeBack() {
  if (!away) return;
  const seconds = Math.ceil((Date.now() - away.since) / 1_000);
  away.resolve();
  away = null;
  showBanner("good", `The API is back after ${seconds} s.`);
  goodNewsEnd = Date.now() + GOOD_NEWS_MS;
  setTimeout(() => {
    if (!away && Date.now() >= goodNewsEnd) at("banner").hidden = true;
  }, GOOD_NEWS_MS);
  dispatchEvent(new Event("api-back"));
}

function showBanner(tone, text) {
  at("banner").hidden = false;
  at("banner").className = tone;
  at("banner-text").textContent = text;
  at("try-now").hidden = tone === "good";
}
