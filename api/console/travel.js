import { ask, lacksKey, Refusal, untilBack } from "./ask.js";
import { announce, at, button, link, make, showMs, showTime, sleep, tell } from "./page.js";

/** A write on its way: sent, followed by its receipt, and shown as it travels. */

export const ITEMS = "/api/data";
/** As many as one can look back on; the oldest leave the page. */
const SESSION_WRITES = 20;
const LOOK_MS = { first: 500, max: 8_000 };
const RESEND_MS = { first: 1_000, max: 15_000 };
/** Of the running number. Those who want less motion see it stand. */
const TICK_MS = matchMedia("(prefers-reduced-motion: reduce)").matches ? 1_000 : 100;
export const TONES = {
  applied: "good",
  duplicate: "good",
  superseded: "warn",
  conflict: "warn",
  dead: "bad",
};
/** Newest first. */
export const writes = [];

export const getPath = (id) => `${ITEMS}/${encodeURIComponent(id)}`;

/**
 * Sends a write and shows it. Resolves once it is accepted; its `settled` then resolves with the
 * receipt. With a key it is repeated until it is answered; `note` shows that.
 */
export async function submit(kind, nombre, path, request, note = null) {
  if (lacksKey("writes")) {
    at("key").focus();
    throw new Refusal(401, ["Writing requires an API key."]);
  }
  const write = {
    kind,
    nombre,
    sentAt: performance.now(),
    slip: make("div", { className: "slip" }),
  };
  writes.unshift(write);
  showWrites();
  const timer = setInterval(() => showTravel(write), TICK_MS);
  try {
    const send = () => ask(path, request);
    const { body } = await (note ? sendUntilAnswered(send, note) : send());
    Object.assign(write, body, { publishedMs: performance.now() - write.sentAt });
  } catch (error) {
    writes.splice(writes.indexOf(write), 1);
    clearInterval(timer);
    showWrites();
    throw error;
  }
  showWrites();
  write.settled = follow(write).finally(() => {
    clearInterval(timer);
    showTravel(write);
  });
  return write;
}

/** However often it is sent under one Idempotency-Key, it has one effect. */
async function sendUntilAnswered(send, note) {
  const stop = Promise.withResolvers();
  let isStopped = false;
  for (let pauseMs = RESEND_MS.first; ; pauseMs = Math.min(2 * pauseMs, RESEND_MS.max)) {
    try {
      return await send();
    } catch (refusal) {
      if (isStopped || !refusal.isUnsure) throw refusal;
      const plan = "Retrying with the same Idempotency-Key, so it is stored only once.";
      tell(note, [refusal.sentences[0], plan], "warn");
      const deliveryExhausted = button("Stop sending it", () => {
        isStopped = true;
        stop.resolve(undefined);
      });
      note.append(deliveryExhausted);
      await Promise.race([
        stop.promise,
        sleep(Math.max(pauseMs, refusal.retryAfterMs)).then(untilBack),
      ]);
      if (!isStopped) continue;
      const doubt = "It may have been accepted. Write retries it, and it is stored only once.";
      throw new Refusal(refusal.status, ["Stopped.", doubt]);
    }
  }
}

/** The first looks wait at the API; after a silence they come ever more rarely. */
async function follow(write) {
  for (let pauseMs = LOOK_MS.first; ; pauseMs = Math.min(2 * pauseMs, LOOK_MS.max)) {
    try {
      const { body } = await ask(write.receipt, { headers: { Prefer: "wait=5" } });
      Object.assign(write, body, { doubt: "" });
      if (write.status === "settled") break;
    } catch (error) {
      write.doubt = `${error.message} It will be asked again.`;
      await sleep(pauseMs);
      await untilBack();
    }
  }
  showTravel(write);
  announce(`The ${write.kind} is settled: ${write.outcome} after ${showMs(write.lagMs)}.`);
  if (write.outcome === "applied") await findReadable(write);
  return write;
}

/** Reads the write back. A deleted item is gone, which is as good an answer. */
async function findReadable(write) {
  const path = `${getPath(write.id)}?after=${write.write}`;
  await ask(path, { headers: { Prefer: "wait=5" } }).catch((refusal) => {
    write.isGone = refusal.status === 410;
    if (!write.isGone) write.doubt = refusal.message;
  });
  if (!write.doubt) write.readableMs = performance.now() - write.sentAt;
}

/** The latest stands below the form, the earlier ones in a list of their own. */
function showWrites() {
  writes.length = Math.min(writes.length, SESSION_WRITES);
  const [latest, ...earlier] = writes;
  if (latest) at("latest").replaceChildren(latest.slip);
  at("earlier").replaceChildren(...earlier.map(({ slip }) => make("li", {}, slip)));
  at("session").hidden = earlier.length === 0;
  if (latest) showTravel(latest);
}

function showTravel(write) {
  const { slip, kind, nombre, outcome, receipt, trace } = write;
  const why = outcome ? write.reason : write.doubt;
  const idLine = (name, id) =>
    make(
      "p",
      { className: "id-line" },
      make("span", { textContent: name }),
      " ",
      make("code", { textContent: id }),
    );
  const known = receipt
    ? [
        idLine("write", write.write),
        ...(trace ? [idLine("trace", trace)] : []),
        make(
          "p",
          { className: "quiet" },
          link("Receipt", receipt),
          " · ",
          link("Item", getPath(write.id)),
        ),
      ]
    : [];
  // A link that has the focus keeps it: what is known is made once, and again when it changes.
  const state = JSON.stringify([known.length, trace, why]);
  if (write.state !== state) {
    write.state = state;
    write.steps = make("ol", { className: "steps" });
    slip.replaceChildren(
      make(
        "p",
        { className: "text what", dir: "auto" },
        make("b", { textContent: kind }),
        ` ${nombre}`,
      ),
      write.steps,
      ...(why ? [make("p", { className: "text quiet", textContent: why })] : []),
      ...known,
    );
  }
  write.steps.replaceChildren(...getSteps(write));
}

/** The four steps; the first that is not done runs, or will never come. */
function getSteps(write) {
  const { kind, outcome, lagMs, publishedMs, readableMs, isGone, acceptedAt } = write;
  const isPublished = publishedMs !== undefined;
  const isFinal = outcome && outcome !== "applied";
  const steps = [
    ["Accepted", isPublished ? "0 ms" : null, acceptedAt ? showTime(acceptedAt) : "API's clock"],
    ["Published", isPublished ? showMs(publishedMs) : null, "202, this browser"],
    ["Settled", outcome ? showMs(lagMs) : null, outcome ?? "the receipt's lag"],
    [isGone || kind === "delete" ? "Gone" : "Readable", null, "GET, this browser"],
  ];
  if (readableMs !== undefined) steps[3][1] = showMs(readableMs);
  const isUnread = outcome && write.doubt;
  if (isFinal || isUnread) steps[3] = ["Readable", "–", isFinal ? "not this write" : "not known"];
  const firstOpen = steps.findIndex(([, value]) => value === null);
  return steps.map(([name, value, where], place) => {
    const isRunning = place === firstOpen;
    const tone = place === 2 && outcome ? TONES[outcome] : "";
    const text = value ?? (isRunning ? `${showMs(performance.now() - write.sentAt)}…` : "");
    const step = make("li", { className: `${value ? "done" : isRunning ? "runs" : ""} ${tone}` });
    const number = make("span", { className: "ms", textContent: text });
    if (isRunning) number.ariaHidden = "true";
    step.append(make("b", { textContent: name }), number, make("small", { textContent: where }));
    return step;
  });
}
