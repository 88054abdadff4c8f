// Loaded before a process with --import: shifts its clock by CHAOS_SKEW_MS. Timers are unaffected.
const skewMs = Number(process.env.CHAOS_SKEW_MS);
const now = Date.now;
globalThis.Date = class extends Date {
  constructor(...given) {
    if (given.length === 0) super(now() + skewMs);
    else super(...given);
  }
  static now() {
    return now() + skewMs;
  }
};
