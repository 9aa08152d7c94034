// The list of signals, newest first, with two filters; and a word about new ones for those who listen.

import { kind } from "./chart.js";
import { at, make, say } from "./dom.js";
import { clock, price, words } from "./format.js";

/** How many lines the list has at most. */
const SHOWN = 100;
const SPOKEN_EVERY_MS = 10_000;
const SIGNS = { buy: "▲", sell: "▼", other: "◆" };

export class Signals {
  /** @param {import("./state.js").State} state */
  constructor(state) {
    this.state = state;
    this.spoken_ms = Date.now();
    this.unspoken = 0;
    for (const id of ["by-strategy", "by-symbol"]) at(id).addEventListener("change", () => this.draw());
  }

  /** Draw all of them. */
  draw() {
    this.#offer("by-strategy", this.state.signals.map((signal) => signal.strategy));
    this.#offer("by-symbol", this.state.signals.map((signal) => signal.symbol));
    const wanted = this.state.signals.filter((signal) => this.#wanted(signal)).slice(-SHOWN);
    at("signals").replaceChildren(...wanted.reverse().map(line));
    this.#tell_empty();
  }

  /** Put new ones on top. @param {import("./state.js").Signal[]} fresh */
  add(fresh) {
    this.#offer("by-strategy", fresh.map((signal) => signal.strategy));
    this.#offer("by-symbol", fresh.map((signal) => signal.symbol));
    const wanted = fresh.filter((signal) => this.#wanted(signal)).slice(-SHOWN);
    at("signals").prepend(...wanted.reverse().map(line));
    while (at("signals").childElementCount > SHOWN) at("signals").lastElementChild?.remove();
    this.#tell_empty();
    this.#speak(fresh);
  }

  /** @param {import("./state.js").Signal} signal */
  #wanted(signal) {
    const strategy = choice("by-strategy");
    const symbol = choice("by-symbol");
    return (!strategy || signal.strategy === strategy) && (!symbol || signal.symbol === symbol);
  }

  /** @param {string} id @param {string[]} values */
  #offer(id, values) {
    const select = select_of(id);
    const known = new Set([...select.options].map((option) => option.value));
    const fresh = [...new Set(values)].filter((value) => !known.has(value));
    if (!fresh.length) return;
    for (const value of fresh) select.append(make("option", { value }, value));
    const [all, ...others] = [...select.options];
    const chosen = select.value;
    select.replaceChildren(all, ...others.sort((a, b) => a.value.localeCompare(b.value)));
    select.value = chosen;
  }

  #tell_empty() {
    const filtered = choice("by-strategy") || choice("by-symbol");
    at("signals-empty").hidden = at("signals").childElementCount > 0;
    say(at("signals-empty"), filtered ? "No signal matches among the last 500." : "No signals yet. The strategies warm up first: each waits for enough books or trades of a symbol.");
  }

  /** @param {import("./state.js").Signal[]} fresh */
  #speak(fresh) {
    this.unspoken += fresh.length;
    const last = fresh.at(-1);
    if (!last || Date.now() - this.spoken_ms < SPOKEN_EVERY_MS) return;
    say(at("spoken"), `${this.unspoken} new signal${this.unspoken === 1 ? "" : "s"}; last: ${last.action} ${last.symbol}, ${words(last.strategy)}`);
    this.spoken_ms = Date.now();
    this.unspoken = 0;
  }
}

/** @param {string} id */
const select_of = (id) => /** @type {HTMLSelectElement} */ (at(id));

/** @param {string} id */
const choice = (id) => select_of(id).value;

/** @param {import("./state.js").Signal} signal */
function line(signal) {
  const of = kind(signal.action);
  return make(
    "li",
    {},
    make("time", { datetime: new Date(signal.at_ms).toISOString() }, clock(signal.at_ms)),
    make("span", { class: `action ${of}` }, make("span", { "aria-hidden": "true" }, SIGNS[of]), ` ${signal.action}`),
    make("span", { class: "symbol" }, signal.symbol),
    make("span", { class: "number" }, price(signal.price)),
    make("span", { class: "number", title: "confidence" }, signal.confidence.toFixed(2)),
    make(
      "span",
      { class: "why" },
      make("span", { class: "strategy" }, words(signal.strategy)),
      " ",
      make("span", { class: "rationale" }, signal.rationale),
    ),
  );
}
