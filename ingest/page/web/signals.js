// The list of signals, newest first, with two filters that stand in the address; and a word about new ones for those who
// listen.

import { asked, remember } from "./address.js";
import { at, make, say } from "./dom.js";
import { clock, moment, natural, price } from "./format.js";
import { kind } from "./marks.js";

/** The filters, and what they are called in the address. */
const FILTERS = { "by-strategy": "strategy", "by-symbol": "signals" };
/** How many lines the list has at most. */
const SHOWN = 100;
const SPOKEN_EVERY_MS = 10_000;
const SIGNS = { buy: "▲", sell: "▼", other: "◆" };

export class Signals {
  /** @param {import("./state.js").State} state @param {(id: string) => void} onOpen */
  constructor(state, onOpen) {
    this.state = state;
    this.onOpen = onOpen;
    this.spoken_ms = Date.now();
    this.unspoken = 0;
    for (const [id, name] of Object.entries(FILTERS)) {
      const wanted = asked(name);
      if (wanted) this.#offer(id, [wanted]);
      select_of(id).value = wanted;
      at(id).addEventListener("change", () => {
        remember(name, choice(id));
        this.draw();
      });
    }
  }

  /** Draw all of them. */
  draw() {
    this.#offer("by-strategy", [...Object.keys(this.state.now?.strategies ?? {}), ...this.state.signals.map((signal) => signal.strategy)]);
    this.#offer("by-symbol", this.state.signals.map((signal) => signal.symbol));
    const wanted = this.state.signals.filter((signal) => this.#wanted(signal)).slice(-SHOWN);
    at("signals").replaceChildren(...wanted.reverse().map((signal) => line(signal, this.onOpen)));
    this.#show_empty();
  }

  /** Put new ones on top. @param {import("./state.js").Signal[]} fresh */
  add(fresh) {
    this.#offer("by-strategy", fresh.map((signal) => signal.strategy));
    this.#offer("by-symbol", fresh.map((signal) => signal.symbol));
    const wanted = fresh.filter((signal) => this.#wanted(signal)).slice(-SHOWN);
    at("signals").prepend(...wanted.reverse().map((signal) => line(signal, this.onOpen)));
    while (at("signals").childElementCount > SHOWN) at("signals").lastElementChild?.remove();
    this.#show_empty();
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
    select.replaceChildren(all, ...others.sort((a, b) => natural(a.value, b.value)));
    select.value = chosen;
  }

  #show_empty() {
    const filtered = choice("by-strategy") || choice("by-symbol");
    const shown = at("signals").childElementCount > 0;
    at("signals-empty").hidden = shown;
    at("signals").closest("div").hidden = !shown;
    say(at("signals-empty"), filtered ? "No signal matches among the last 500." : "No signals yet. The strategies warm up first: each waits for enough books or trades of a symbol.");
  }

  /** @param {import("./state.js").Signal[]} fresh */
  #speak(fresh) {
    this.unspoken += fresh.length;
    const last = fresh.at(-1);
    if (!last || Date.now() - this.spoken_ms < SPOKEN_EVERY_MS) return;
    say(at("spoken"), `${this.unspoken} new signal${this.unspoken === 1 ? "" : "s"}; last: ${last.action} ${last.symbol}, ${last.strategy}`);
    this.spoken_ms = Date.now();
    this.unspoken = 0;
  }
}

/** @param {string} id */
const select_of = (id) => /** @type {HTMLSelectElement} */ (at(id));

/** @param {string} id */
const choice = (id) => select_of(id).value;

/** @param {import("./state.js").Signal} signal @param {(id: string) => void} onOpen */
function line(signal, onOpen) {
  const of = kind(signal.action);
  const when = new Date(signal.event_time_ms).toISOString();
  const why = make("button", { type: "button", class: "explained", "aria-label": `why ${signal.strategy} said ${signal.action} ${signal.symbol}` }, "why?");
  why.addEventListener("click", () => onOpen(signal.id));
  return make(
    "tr",
    {},
    make("td", {}, make("time", { datetime: when, title: `event of ${moment(signal.event_time_ms)}, committed ${moment(signal.at_ms)}` }, clock(signal.event_time_ms))),
    make("td", { class: `action ${of}` }, make("span", { "aria-hidden": "true" }, SIGNS[of]), ` ${signal.action}`),
    make("td", { class: "symbol" }, signal.symbol),
    make("td", { class: "number" }, price(signal.price)),
    make("td", { class: "number" }, signal.confidence.toFixed(2)),
    make(
      "td",
      { class: "why" },
      make("span", { class: "strategy" }, signal.strategy),
      " ",
      make("span", { class: "rationale" }, signal.rationale),
      " ",
      why,
    ),
  );
}
