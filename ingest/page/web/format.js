// Numbers and times as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** @typedef {number | null | undefined} Maybe */

/** @param {Maybe} value */
export const count = (value) => (value == null ? "–" : value < 100_000 ? whole.format(value) : short.format(value));

/** @param {Maybe} value */
export const rate = (value) => (value == null ? "–" : value > 0 && value < 10 ? one.format(value) : count(value));

/** As many decimals as a price of this size needs. @param {Maybe} value */
export function price(value) {
  if (value == null) return "–";
  const digits = value >= 1000 ? 2 : value >= 10 ? 3 : value >= 0.1 ? 5 : 8;
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** @param {Maybe} bps */
export const basisPoints = (bps) => (bps == null ? "–" : bps.toFixed(bps < 10 ? 3 : 1));

/** @param {Maybe} share */
export const percent = (share) => (share == null ? "–" : `${share < 0 ? "−" : "+"}${Math.abs(share * 100).toFixed(2)} %`);

/** Quote currency with its sign; cents matter more the less there is of it. @param {Maybe} value */
export function profit(value) {
  if (value == null) return "–";
  const digits = Math.abs(value) < 100 ? 4 : 2;
  const written = Math.abs(value).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return Number(written.replaceAll(",", "")) === 0 ? "0" : `${value < 0 ? "−" : "+"}${written}`;
}

/** A part of a whole, without sign. @param {Maybe} value */
export const share = (value) => (value == null ? "–" : `${(value * 100).toFixed(0)} %`);

/** Base currency: a quantity is as exact as it is large. @param {number} value */
export const size = (value) => value.toLocaleString("en", { maximumSignificantDigits: 5 });

/** @param {Maybe} ms */
export function milliseconds(ms) {
  if (ms == null) return "–";
  return ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** @param {Maybe} s */
export function age(s) {
  if (s == null) return "–";
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 120) return `${s.toFixed(0)} s`;
  return s < 7200 ? `${(s / 60).toFixed(0)} min` : `${(s / 3600).toFixed(0)} h`;
}

/** How long ago an event came; ticks are a second apart. @param {number} s */
export const sinceEvent = (s) => (s < 2 ? "live" : `${age(Math.floor(s))} ago`.replace(".0 ", " "));

/** The mood of an age: "", slow or bad. @param {number} s @param {[number, number]} limits_s */
export const quietness = (s, [slow_s, bad_s]) => (s > bad_s ? "bad" : s > slow_s ? "slow" : "");

/** @param {number} ms */
export const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB");

/** Day and time. @param {number} ms */
export const moment = (ms) => new Date(ms).toLocaleString("en-GB");

/** SIM2 before SIM10. */
export const natural = new Intl.Collator("en", { numeric: true }).compare;
