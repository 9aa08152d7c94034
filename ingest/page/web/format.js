// Numbers and times as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** @typedef {number | null | undefined} Maybe */

/** In so many decimals; below zero with a sign, unless it rounds to zero. @param {number} value @param {number} digits */
const fixed = (value, digits) => rounded(value, digits, "negative");

/** The same with a sign above zero, too. @param {number} value @param {number} digits */
export const signed = (value, digits) => rounded(value, digits, "exceptZero");

/** @param {number} value @param {number} digits @param {"negative" | "exceptZero"} signDisplay */
const rounded = (value, digits, signDisplay) => value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay }).replace("-", "−");

/** The class of what a text with its sign says. @param {string} text */
export const direction = (text) => (text.startsWith("+") ? "up" : text.startsWith("−") ? "down" : "quiet");

/** @param {Maybe} value */
export const count = (value) => (value == null ? "–" : value < 100_000 ? whole.format(value) : short.format(value));

/** @param {Maybe} value */
export const rate = (value) => (value == null ? "–" : value > 0 && value < 10 ? one.format(value) : count(value));

/** As many decimals as a price of this size needs. @param {Maybe} value */
export function price(value) {
  if (value == null) return "–";
  const digits = value >= 1000 ? 2 : value >= 10 ? 3 : value >= 0.1 ? 5 : 8;
  return fixed(value, digits);
}

/** @param {Maybe} bps */
export const basisPoints = (bps) => (bps == null ? "–" : fixed(bps, bps < 10 ? 3 : 1));

/** @param {Maybe} share */
export const percent = (share) => (share == null ? "–" : `${signed(share * 100, 2)} %`);

/** Of a funding. @param {Maybe} rate */
export const funding = (rate) => (rate == null ? "–" : `${fixed(rate * 100, 4)} %`);

/** Quote currency with its sign; cents matter more the less there is of it. @param {Maybe} value */
export function profit(value) {
  if (value == null) return "–";
  const written = signed(value, Math.abs(value) < 100 ? 4 : 2);
  return direction(written) === "quiet" ? "0" : written;
}

/** A part of a whole, without sign. @param {Maybe} value */
export const share = (value) => (value == null ? "–" : `${fixed(value * 100, 0)} %`);

/** Base currency: a quantity is as exact as it is large. @param {number} value */
export const size = (value) => value.toLocaleString("en", { maximumSignificantDigits: 5 });

/** @param {Maybe} ms */
export function milliseconds(ms) {
  if (ms == null) return "–";
  return ms < 10 ? `${fixed(ms, 1)} ms` : ms < 1000 ? `${fixed(ms, 0)} ms` : `${fixed(ms / 1000, 1)} s`;
}

/** @param {Maybe} us */
export const microseconds = (us) => (us == null ? "–" : us < 1000 ? `${fixed(us, us < 10 ? 1 : 0)} µs` : milliseconds(us / 1000));

/** @param {Maybe} s */
export function age(s) {
  if (s == null) return "–";
  if (s < 10) return `${fixed(s, 1)} s`;
  if (s < 120) return `${fixed(s, 0)} s`;
  return s < 7200 ? `${fixed(s / 60, 0)} min` : `${fixed(s / 3600, 0)} h`;
}

/** How long ago an event came; ticks are a second apart. @param {number} s */
export const sinceEvent = (s) => (s < 2 ? "live" : `${age(Math.floor(s))} ago`.replace(".0 ", " "));

/** The mood of an age: "", slow or bad. @param {number} s @param {[number, number]} limits_s */
export const quietness = (s, [slow_s, bad_s]) => (s > bad_s ? "bad" : s > slow_s ? "slow" : "");

/** @param {number} ms */
export const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB");

/** A time of the day to the millisecond. @param {number} ms */
export const instant = (ms) => `${clock(ms)}.${String(ms % 1000).padStart(3, "0")}`;

/** A number with as many digits as anybody reads. @param {number} value */
export const number = (value) => String(Number.isInteger(value) ? value : Number(value.toPrecision(8)));

/** Day and time. @param {number} ms */
export const moment = (ms) => new Date(ms).toLocaleString("en-GB");

/** SIM2 before SIM10. */
export const natural = new Intl.Collator("en", { numeric: true }).compare;
