// What the paper accounts have earned, by strategy, and what they hold. Nothing while no strategy has an account.

import { at, make, say } from "./dom.js";
import { clock, count, direction, moment, natural, price, profit, share, size } from "./format.js";

/** @typedef {{strategy: string, positions: number, open: number, realised: number, unrealised: number, drawdown: number,
 *             hit_rate: number | null}} Strategy */
/** @typedef {{strategy: string, venue: string, symbol: string, side: string, quantity: number, entry_price: number,
 *             last_price: number, unrealised: number, opened_ms: number}} Position */

/** @param {import("./state.js").State} state */
export function drawPaper(state) {
  const strategies = state.paper?.strategies ?? [];
  at("paper").hidden = !strategies.length;
  if (!strategies.length) return;
  at("earned").replaceChildren(...strategies.sort((/** @type {Strategy} */ a, /** @type {Strategy} */ b) => natural(a.strategy, b.strategy)).map(earned));
  const { positions, open } = state.paper;
  at("positions").replaceChildren(...positions.map(held));
  at("positions").closest("div").hidden = !positions.length;
  at("positions-empty").hidden = positions.length > 0;
  say(at("positions-more"), open > positions.length ? `The newest ${positions.length} of ${count(open)}.` : "");
}

/** @param {number} value */
const signed = (value) => make("td", { class: direction(profit(value)) }, profit(value));

/** @param {Strategy} of */
function earned(of) {
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, of.strategy),
    signed(of.realised + of.unrealised),
    make("td", {}, profit(of.unrealised)),
    make("td", { class: of.drawdown ? "" : "quiet" }, profit(-of.drawdown)),
    make("td", {}, share(of.hit_rate)),
    make("td", {}, count(of.positions)),
    make("td", {}, count(of.open)),
  );
}

/** @param {Position} of */
function held(of) {
  const when = make("time", { datetime: new Date(of.opened_ms).toISOString(), title: moment(of.opened_ms) }, clock(of.opened_ms));
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, make("span", { class: "symbol" }, of.symbol), " ", make("small", {}, of.venue)),
    make("td", { class: of.side === "long" ? "buy" : "sell" }, of.side),
    make("td", {}, size(of.quantity)),
    make("td", {}, price(of.entry_price)),
    make("td", {}, price(of.last_price)),
    signed(of.unrealised),
    make("td", { class: "quiet" }, when),
    make("td", {}, of.strategy),
  );
}
