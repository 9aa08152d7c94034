// The table of symbols, and the field that searches it. One stop in the tab order; arrow keys, Home and End choose.

import { asked, remember } from "./address.js";
import { at, make, say } from "./dom.js";
import { age, basisPoints, count, direction, funding, natural, percent, price, quietness, rate, sinceEvent } from "./format.js";
import { keyOf, named } from "./state.js";

/** Columns of kinds of events that not every feed has: the field of a row, and how it is written. @type {[string, (row: any) => string][]} */
const EXTRA = [
  ["mark_price", (row) => price(row.mark_price)],
  ["funding_rate", (row) => funding(row.funding_rate)],
  ["candle", (row) => (row.candle == null ? "–" : `${price(row.candle)} ${row.candle_interval}`)],
  ["bid", (row) => price(row.bid)],
  ["ask", (row) => price(row.ask)],
  ["liquidations", (row) => (row.liquidations == null ? "–" : count(row.liquidations))],
];

export class Symbols {
  /**
   * @param {import("./state.js").State} state
   * @param {(name: string) => void} onChoose
   */
  constructor(state, onChoose) {
    this.state = state;
    this.onChoose = onChoose;
    this.chosen = "";
    /** What the address asks for, until somebody chooses here. */
    this.wanted = asked("symbol");
    /** @type {Map<string, HTMLElement>} those that are shown */
    this.lines = new Map();
    const search = search_field();
    search.value = asked("search");
    search.addEventListener("input", () => {
      remember("search", search.value);
      this.draw();
    });
    at("symbols").addEventListener("keydown", (event) => this.#move(event));
  }

  /** Somebody chose. @param {string} name */
  choose(name) {
    this.wanted = name;
    this.#select(name);
    const line = this.lines.get(name);
    if (line) button_of(line).focus();
    remember("symbol", name);
  }

  /** @param {string} name */
  #select(name) {
    this.chosen = name;
    this.#show_chosen();
    this.onChoose(name);
  }

  /** The address's symbol; without one, as long as nobody chose, the first. @param {string[]} all by name */
  #followed(all) {
    if (!this.wanted) return all.length ? this.#first(all) : "";
    const { venue, symbol } = named(this.wanted);
    const other = (venue && `${venue.toLowerCase()}:`) + symbol.toUpperCase();
    for (const name of [this.wanted, other]) {
      const found = all.find((each) => each === name) ?? all.find((each) => named(each).symbol === name);
      if (found) return found;
    }
    return other;
  }

  #show_chosen() {
    const stop = this.lines.has(this.chosen) ? this.chosen : this.lines.keys().next().value;
    for (const [each, line] of this.lines) {
      line.classList.toggle("chosen", each === this.chosen);
      const button = button_of(line);
      button.setAttribute("aria-pressed", String(each === this.chosen));
      button.tabIndex = each === stop ? 0 : -1;
    }
  }

  draw() {
    const all = [...this.state.rows.keys()].sort((a, b) => natural(named(a).symbol, named(b).symbol) || natural(a, b));
    const wanted = search_field().value.trim().toUpperCase();
    const names = all.filter((name) => name.toUpperCase().includes(wanted));
    this.#show_empty(all.length, names.length);
    if (names.join() !== [...this.lines.keys()].join()) this.#lay(names);
    const followed = this.#followed(all);
    if (followed !== this.chosen) this.#select(followed);
    const signals = this.#signals();
    for (const [name, line] of this.lines) {
      const row = this.state.rows.get(name);
      const change = this.state.change(name);
      const [, mid, spread, changed, events, signalled, ...rest] = line.children;
      say(mid, price(row.mid));
      say(spread, basisPoints(row.spread_bps));
      say(changed, percent(change));
      changed.className = direction(percent(change));
      say(events, rate(row.rate < 0.05 ? 0 : row.rate));
      say(signalled, String(signals.get(name) ?? 0));
      EXTRA.forEach(([, written], number) => say(rest[number], written(row)));
      this.#drawLast(rest[EXTRA.length], row);
    }
    this.#show_extra();
  }

  /** Only what has come for some symbol has a column. */
  #show_extra() {
    const rows = [...this.state.rows.values()];
    const heads = at("symbols").closest("table").querySelectorAll("thead .extra");
    EXTRA.forEach(([field], number) => {
      const hidden = rows.every((row) => /** @type {any} */ (row)[field] == null);
      const cells = [...this.lines.values()].map((line) => line.querySelectorAll("td.extra")[number]);
      for (const cell of [heads[number], ...cells]) cell.toggleAttribute("hidden", hidden);
    });
  }

  /** @param {number} all @param {number} shown */
  #show_empty(all, shown) {
    at("symbols-empty").hidden = shown > 0;
    say(at("symbols-empty"), all ? "No symbol has this in its name." : "No prices yet: no frame has come in from NATS.");
    at("symbols").closest("div").hidden = shown === 0;
    search_field().hidden = all === 0;
    at("symbols-more").hidden = all < MOST;
  }

  /** How long ago its last event came, and its last book and trade. @param {Element} cell @param {any} row */
  #drawLast(cell, row) {
    const { now, about } = this.state;
    const since_s = (/** @type {number} */ ms) => Math.max(0, now.at_ms - ms) / 1000;
    const age_s = since_s(row.seen_ms);
    say(cell, sinceEvent(age_s).replace(" ago", ""));
    // Candles and liquidations come seldom.
    const expected = row.book_ms || row.trade_ms || row.mark_price != null;
    cell.className = (expected && quietness(age_s, about.quiet_s)) || "quiet";
    const told = (/** @type {number} */ ms) => (ms ? `${age(since_s(ms))} ago` : "none yet");
    cell.setAttribute("title", `last book: ${told(row.book_ms)}, last trade: ${told(row.trade_ms)}`);
  }

  /** @param {string[]} names */
  #lay(names) {
    const old = this.lines;
    this.lines = new Map(names.map((name) => [name, old.get(name) ?? this.#line(name)]));
    const focused = document.activeElement;
    at("symbols").replaceChildren(...this.lines.values());
    this.#show_chosen();
    if (focused instanceof HTMLElement && at("symbols").contains(focused)) focused.focus();
  }

  /** @param {string} name */
  #line(name) {
    const { symbol, venue } = this.state.rows.get(name);
    const button = make("button", { type: "button", "aria-pressed": "false", tabindex: "-1" }, symbol, make("small", {}, venue));
    const cells = [...Array.from({ length: 5 }, () => make("td")), ...EXTRA.map(() => make("td", { class: "extra" })), make("td")];
    const line = make("tr", {}, make("th", { scope: "row" }, button), ...cells);
    line.addEventListener("click", () => this.choose(name));
    return line;
  }

  /** The first by name that has a price; while none has, the first. @param {string[]} names */
  #first(names) {
    return names.find((name) => this.state.rows.get(name).mid !== null) ?? names[0];
  }

  #signals() {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const signal of this.state.signals) counts.set(keyOf(signal), (counts.get(keyOf(signal)) ?? 0) + 1);
    return counts;
  }

  /** @param {KeyboardEvent} event */
  #move(event) {
    const names = [...this.lines.keys()];
    const now = names.indexOf(this.chosen);
    const to = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: names.length - 1 }[event.key];
    if (to === undefined || names.length === 0) return;
    event.preventDefault();
    if (names[to]) this.choose(names[to]);
  }
}

/** How many ingest tells of. */
const MOST = 100;

const search_field = () => /** @type {HTMLInputElement} */ (at("search"));


/** @param {Element} line @returns {HTMLButtonElement} */
const button_of = (line) => line.querySelector("button");
