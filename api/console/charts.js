import { ask, isAway, lacksKey } from "./ask.js";
import { at, showMs } from "./page.js";
import { writes } from "./travel.js";

/** Rate, lag and backlog: of the API process from /metrics, else of this page's own writes. */

const SAMPLE_MS = 2_000;
/** Two minutes; the drawing is as many units wide, less one. */
const SAMPLES = 60;
/** Without METRICS the page asks this rarely whether the API is there. */
const LOOK_EVERY_SAMPLES = 5;
/** A page that nobody looks at or touches asks nothing, so that a service can scale to zero. */
const IDLE_MS = 10 * 60_000;
const DRAWING_HEIGHT = 20;

const samples = { rate: [], lag: [], backlog: [] };
let lastTouch = Date.now();
let before = null;
let looks = 0;
let isSampling = false;

export function startCharts() {
  for (const event of ["pointermove", "pointerdown", "keydown", "focusin"])
    addEventListener(event, () => (lastTouch = Date.now()), { passive: true });
  takeSample();
  setInterval(takeSample, SAMPLE_MS);
}

/** After a change of the key or of the API another process may count, from zero. */
export function restartCharts() {
  before = null;
  takeSample();
}

async function takeSample() {
  // A slow answer is waited for: two at once would make a rate of the moment between them.
  if (document.hidden || isAway() || isSampling) return;
  if (Date.now() - lastTouch > IDLE_MS) return note("Paused after ten minutes without input.");
  const isOn = document.documentElement.dataset.metrics !== "off";
  const isLocked = lacksKey("metrics");
  looks += 1;
  isSampling = true;
  try {
    if (isOn && !isLocked)
      return show(await readMetrics(), "From /metrics of the API process that answers, every 2 s.");
    if (looks % LOOK_EVERY_SAMPLES === 1) await ask("/health/live");
    const why = isOn ? "/metrics needs an API key" : "METRICS is off here";
    show(countOwn(), `${why}, so these show the writes of this page.`);
  } catch (refusal) {
    if (refusal.isUnsure) return;
    show(
      countOwn(),
      `/metrics is refused (${refusal.message}) These show the writes of this page.`,
    );
  } finally {
    isSampling = false;
  }
}

async function readMetrics() {
  const { body } = await ask("/metrics", { headers: { Accept: "text/plain" } });
  const read = (name) => {
    const lines = [...body.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, "gm"))];
    return lines.length === 0 ? null : lines.reduce((sum, [, value]) => sum + Number(value), 0);
  };
  const lagSeconds = read("constancia_watched_lag_seconds");
  const oldestSeconds = read("constancia_oldest_unsettled_write_seconds");
  return {
    accepted: read("constancia_writes_accepted_total") ?? 0,
    lagMs: lagSeconds === null ? null : 1_000 * lagSeconds,
    unsettled: read("constancia_unsettled_writes"),
    oldestMs: oldestSeconds === null ? null : 1_000 * oldestSeconds,
  };
}

let ownAccepted = 0;
const counted = new WeakSet();

/** The same figures of the writes that this page has sent. */
function countOwn() {
  for (const write of writes) {
    if (!write.write || counted.has(write)) continue;
    counted.add(write);
    ownAccepted += 1;
  }
  const open = writes.filter(({ write, outcome }) => write && !outcome);
  const settled = writes.find(({ outcome }) => outcome);
  const ages = open.map(({ sentAt }) => performance.now() - sentAt);
  return {
    accepted: ownAccepted,
    lagMs: settled?.lagMs ?? null,
    unsettled: open.length,
    oldestMs: Math.max(0, ...ages),
  };
}

function show(figures, source) {
  // Two sources count different writes.
  if (at("live-note").textContent !== source) before = null;
  const now = performance.now();
  const passed = before && figures.accepted >= before.accepted ? now - before.at : null;
  const rate = passed && (1_000 * (figures.accepted - before.accepted)) / passed;
  before = { at: now, accepted: figures.accepted };
  draw("rate", rate ?? 0, (value) => `${round(value)} writes/s`);
  draw("lag", figures.lagMs, showMs);
  const oldest = figures.unsettled ? `the oldest for ${showMs(figures.oldestMs ?? 0)}; ` : "";
  draw("backlog", figures.unsettled, (value) => `${round(value)} unsettled`, oldest);
  note(source);
}

function note(sentence) {
  if (at("live-note").textContent !== sentence) at("live-note").textContent = sentence;
}

function draw(name, value, format, more = "") {
  const all = samples[name];
  all.push(value);
  if (all.length > SAMPLES) all.shift();
  const highest = Math.max(0, ...all);
  const figure = at(name);
  const points = all.flatMap((each, place) => {
    if (each === null) return [];
    const x = SAMPLES - all.length + place;
    // A line at the very edge would be cut in half.
    const y = DRAWING_HEIGHT - 1 - (highest && (each / highest) * (DRAWING_HEIGHT - 2));
    return [`${x} ${y.toFixed(2)}`];
  });
  const [area, line] = figure.querySelectorAll("path");
  const first = points[0]?.split(" ")[0];
  line.setAttribute("d", points.length > 0 ? `M${points.join("L")}` : "");
  area.setAttribute(
    "d",
    points.length > 0
      ? `M${first} ${DRAWING_HEIGHT}L${points.join("L")}L${SAMPLES - 1} ${DRAWING_HEIGHT}Z`
      : "",
  );
  const now = value === null ? "–" : format(value);
  const caption = value === null ? "nothing seen yet" : `${more}highest ${format(highest)}`;
  figure.querySelector("strong").textContent = now;
  figure.querySelector("p").textContent = caption;
  const title = figure.querySelector("span").textContent;
  figure
    .querySelector("svg")
    .setAttribute("aria-label", `${title} over two minutes: now ${now}, ${caption}`);
}

function round(value) {
  return value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 });
}
