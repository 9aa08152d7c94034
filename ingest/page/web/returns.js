// What the price did after the signals of each strategy. Nothing before the first signal.

import { at, make } from "./dom.js";
import { count, natural } from "./format.js";

/** Signals that have a return, mean and median in basis points, and the share of those that were right.
 *  @typedef {[number, number, number, number] | null} Returns */
/** @typedef {{strategy: string, signals: number, returns: Returns[]}} Scored by horizon */

/** @param {import("./state.js").State} state */
export function drawReturns(state) {
  at("returns-card").hidden = !state.returns.length;
  const sorted = [...state.returns].sort((/** @type {Scored} */ a, /** @type {Scored} */ b) => natural(a.strategy, b.strategy));
  const expected = new Map(state.about.expected.map((/** @type {Scored} */ each) => [each.strategy, each.returns]));
  at("returns").replaceChildren(...sorted.flatMap((each) => {
    const told = expected.get(each.strategy);
    return told ? [line(each.strategy, each.returns), line("in the backtest", told, "expected")] : [line(each.strategy, each.returns)];
  }));
}

/** @param {string} name @param {Returns[]} returns */
const line = (name, returns, mood = "") => make("tr", { class: mood }, make("th", { scope: "row" }, name), ...returns.map(cell));

/** @param {Returns} found */
function cell(found) {
  if (!found) return make("td", { class: "quiet" }, "–");
  const [signals, mean, median, right] = found;
  const mood = Math.abs(mean) < 0.005 ? "quiet" : mean > 0 ? "up" : "down";
  const title = `median ${bps(median)} bps, right ${(100 * right).toFixed(0)} %`;
  return make("td", { title }, make("span", { class: mood }, bps(mean)), " ", make("small", {}, count(signals)));
}

/** @param {number} value */
const bps = (value) => (Math.abs(value) < 0.005 ? "0.00" : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`);
