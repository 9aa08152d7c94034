// The table of strategies: whether they run, what they gave and earned, what the price did after their signals, and for
// operators a button that opens the strategy. Lines are kept, so that a button keeps the focus.

import { asked, remember } from "./address.js";
import { at, make, say } from "./dom.js";
import { count, direction, microseconds, natural, profit, share, signed } from "./format.js";

/** Signals that have a return, mean and median in basis points, and the share of those that were right.
 *  @typedef {[number, number, number, number] | null} Returns */
/** @typedef {{strategy: string, signals: number, returns: Returns[]}} Scored by horizon */

const HORIZONS = 3;
/** What the columns after the state are called where there is no room for a head. */
const LABELS = ["Signals", "Held back", "Errors", "An event", "Profit", "After 1 s", "After 10 s", "After 60 s"];
/** Which state is told of a strategy that has another one in each pool. */
const WORST = ["off", "killed", "paused", "live"];
const WORDS = { off: "switched off", killed: "killed", paused: "paused", live: "live" };

export class Strategies {
  /** @param {import("./state.js").State} state @param {(name: string) => void} onOpen */
  constructor(state, onOpen) {
    this.state = state;
    this.onOpen = onOpen;
    /** @type {Map<string, HTMLElement>} */
    this.lines = new Map();
    fee_field().value = asked("fee");
    fee_field().addEventListener("input", () => {
      remember("fee", fee_field().value);
      this.draw();
    });
  }

  draw() {
    const { now, about, returns } = this.state;
    const signals = Object.fromEntries(this.state.counted("signals"));
    const errors = Object.fromEntries(this.state.counted("errors"));
    const scored = byName(returns);
    const expected = byName(about.expected);
    const paper = byName(this.state.paper?.strategies ?? []);
    const names = Object.keys({ ...now.strategies, ...signals, ...scored }).sort(natural);
    this.#lay(names, expected);
    for (const name of names) {
      const line = this.lines.get(name);
      const [, state, given, held, raised, taken, earned, ...cells] = line.children;
      drawState(state, now.strategies[name], now.warming[name]);
      say(given, count(signals[name] ?? 0));
      drawHeld(held, Object.entries(now.held_by[name] ?? {}));
      say(taken, microseconds(now.event_us[name]));
      taken.className = now.event_us[name] == null ? "quiet" : "";
      say(raised, count(errors[name] ?? 0));
      raised.className = errors[name] ? "warn" : "quiet";
      drawProfit(earned, paper[name]);
      drawReturns(cells, scored[name]);
      if (expected[name]) drawReturns([...line.nextElementSibling.children].slice(-HORIZONS - 1), expected[name]);
    }
    const has_paper = Boolean(this.state.paper?.strategies.length);
    for (const cell of [at("strategies-paper"), ...at("strategies").querySelectorAll(".earned")]) cell.toggleAttribute("hidden", !has_paper);
  }

  /** @param {string[]} names @param {Record<string, Scored>} expected */
  #lay(names, expected) {
    const laid = names.map((name) => (expected[name] ? `${name}+` : name)).join();
    if (at("strategies").dataset.laid === laid) return;
    at("strategies").dataset.laid = laid;
    const old = this.lines;
    this.lines = new Map(names.map((name) => [name, old.get(name) ?? this.#line(name)]));
    at("strategies").replaceChildren(...[...this.lines].flatMap(([name, line]) => (expected[name] ? [line, backtested()] : [line])));
  }

  /** @param {string} name */
  #line(name) {
    const open = make("button", { type: "button", class: "operators", "aria-label": `Change ${name}` }, "Change");
    open.addEventListener("click", () => this.onOpen(name));
    const cells = [make("td"), ...LABELS.map((label) => make("td", { "data-label": label }))];
    return make("tr", {}, make("th", { scope: "row" }, name), ...cells, make("td", { class: "operators" }, open));
  }
}

/** A line below the strategy's own. */
const backtested = () => make("tr", { class: "expected" }, make("th", { scope: "row", colspan: "6" }, "in the backtest"), make("td", { class: "earned" }), ...LABELS.slice(-HORIZONS).map((label) => make("td", { "data-label": label })), make("td", { class: "operators" }));

/** @param {Element} cell @param {Record<string, string> | undefined} by_pool @param {string | undefined} warming */
function drawState(cell, by_pool, warming) {
  const states = Object.entries(by_pool ?? {});
  const worst = WORST.find((each) => states.some(([, state]) => state === each));
  const of = states.filter(([, state]) => state === worst).map(([pool]) => pool);
  const where = of.length < states.length ? ` in ${of.join(", ")}` : "";
  const told = worst ? `${WORDS[/** @type {keyof WORDS} */ (worst)]}${where}` : "not configured";
  const more = warming ? ` warming up: ${warming}` : "";
  if (cell.textContent !== told + more) cell.replaceChildren(told, ...(more ? [make("small", {}, more)] : []));
  cell.className = worst === "live" ? "state live" : worst ? "state bad" : "quiet";
}

/** How many signals the gate held back, and why. @param {Element} cell @param {[string, number][]} by_reason */
function drawHeld(cell, by_reason) {
  const all = by_reason.reduce((sum, [, number]) => sum + number, 0);
  cell.className = all ? "reasons" : "reasons quiet";
  const most = [...by_reason].sort((a, b) => b[1] - a[1]);
  const spelled = most.length > 1 ? most.map(([reason, number]) => `${count(number)} ${reason}`).join(", ") : (most[0]?.[0] ?? "");
  const told = [count(all), spelled].filter(Boolean).join(" ");
  if (cell.textContent !== told) cell.replaceChildren(count(all), ...(spelled ? [" ", make("small", {}, spelled)] : []));
}

/** @param {Element} cell @param {{realised: number, unrealised: number} | undefined} paper */
function drawProfit(cell, paper) {
  const value = paper && paper.realised + paper.unrealised;
  say(cell, profit(value));
  cell.className = `earned ${direction(profit(value))}`;
}

/** @param {Element[]} cells @param {Scored | undefined} scored */
function drawReturns(cells, scored) {
  const fee = Number(fee_field().value) || 0;
  for (let number = 0; number < HORIZONS; number++) {
    const found = scored?.returns[number] ?? null;
    const cell = /** @type {HTMLElement} */ (cells[number]);
    const told = JSON.stringify([found, fee]);
    if (cell.dataset.told === told) continue;
    cell.dataset.told = told;
    cell.className = found ? "" : "quiet";
    cell.removeAttribute("title");
    if (!found) say(cell, "–");
    else drawReturn(cell, found, fee);
  }
}

/** @param {HTMLElement} cell @param {[number, number, number, number]} found @param {number} fee */
function drawReturn(cell, [signals, mean, median, right], fee) {
  const net = mean - fee;
  cell.title = `median ${signed(median - fee, 2)} bps, right before the fee ${share(right)}`;
  cell.replaceChildren(make("span", { class: direction(signed(net, 2)) }, signed(net, 2)), " ", make("small", {}, count(signals)));
}

/** @template T @param {T[]} all @returns {Record<string, T>} */
const byName = (all) => Object.fromEntries(all.map((each) => [/** @type {any} */ (each).strategy, each]));

const fee_field = () => /** @type {HTMLInputElement} */ (at("fee"));
