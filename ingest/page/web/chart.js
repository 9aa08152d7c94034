// The chart of one symbol: mid price with the signals on it, the spread below; one point a second, before that one in ten
// seconds. It runs on the time of the events: live that is now, while old events are replayed it is then.
/* global uPlot */

import { at, colour, make, say } from "./dom.js";
import { age, basisPoints, clock, moment, percent, price } from "./format.js";
import { keys, touch, wheel } from "./gestures.js";
import { drawMarks, kind, markColours } from "./marks.js";
import { named } from "./state.js";
import { View } from "./view.js";

const NEAR = 14;
/** Further left there is no room for a time below the chart. */
const HALF_LABEL = 24;
/** A shorter drag is a click. */
const MIN_DRAG = 8;
/** Events that are older are not of now. */
const THEN_MS = 60_000;

export class Chart {
  /** @param {import("./state.js").State} state @param {(id: string) => void} onSignal called when a mark is clicked */
  constructor(state, onSignal) {
    this.state = state;
    this.chosen = "";
    this.view = new View(() => this.draw());
    /** @type {any[]} price, spread */
    this.plots = [];
    this.colours = markColours();
    /** @type {import("./marks.js").Mark[]} */
    this.marks = [];
    /** The one under the pointer. @type {import("./marks.js").Mark | undefined} */
    this.near = undefined;
    /** While the mouse is down on the chart: it stands still then, or the selection would slip away. */
    this.held = false;
    this.#listen(onSignal);
    new ResizeObserver(() => this.#resize()).observe(at("chart"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.repaint());
  }

  /** @param {(id: string) => void} onSignal */
  #listen(onSignal) {
    let pressed_x = 0;
    at("chart").addEventListener("pointerdown", (event) => {
      pressed_x = event.clientX;
      this.held = event.pointerType !== "touch";
    });
    for (const name of ["pointerup", "pointercancel"]) addEventListener(name, () => (this.held = false));
    at("chart").addEventListener("click", (event) => {
      if (this.near && Math.abs(event.clientX - pressed_x) < MIN_DRAG) onSignal(this.near.signal.id);
    });
    keys(at("chart"), this.view);
    /** @type {Record<string, () => void>} */
    const buttons = {
      earlier: () => this.view.pan(-0.5),
      later: () => this.view.pan(0.5),
      closer: () => this.view.zoom(0.5),
      wider: () => this.view.zoom(2),
      unzoom: () => this.view.follow(),
    };
    for (const [id, act] of Object.entries(buttons)) at(id).addEventListener("click", act);
    for (const span of spans()) span.addEventListener("click", () => this.view.follow(Number(span.dataset.span)));
  }

  /** Draw again with the colours of now. */
  repaint() {
    for (const plot of this.plots) plot.destroy();
    this.plots = [];
    this.draw();
  }

  /** Show a symbol. @param {string} name */
  choose(name) {
    this.chosen = name;
    at("tip").hidden = true;
    this.view.follow();
    this.reload();
  }

  /** Ask for what was before the last minutes. */
  reload() {
    this.state.loadPast(this.chosen, () => this.draw());
  }

  draw() {
    const history = this.state.whole(this.chosen);
    const row = this.state.rows.get(this.chosen);
    const drawn = Boolean(history?.mid.some((mid) => mid !== null));
    at("chart-empty").hidden = drawn;
    at("chart").hidden = at("chart-bar").hidden = !drawn;
    this.#title(row);
    if (!history || !drawn) return;
    const seconds = history.times_ms.map((ms) => ms / 1000);
    this.view.grow(seconds[0], seconds[seconds.length - 1]);
    this.#show_span();
    if (!this.plots.length) this.#make();
    at("chart").dataset.points = String(history.mid.filter((mid) => mid !== null).length);
    if (this.held) return;
    this.plots[0].setData([seconds, history.mid]);
    this.plots[1].setData([seconds, history.spread_bps]);
  }

  #show_span() {
    const { chosen, span_s } = this.view;
    at("unzoom").hidden = !chosen;
    for (const span of spans()) span.setAttribute("aria-pressed", String(!chosen && Number(span.dataset.span) === span_s));
  }

  /** @param {import("./state.js").Row | undefined} row */
  #title(row) {
    const { venue, symbol } = named(this.chosen);
    say(at("chart-empty"), row || !this.chosen ? "The chart begins with the first book." : `No event of ${this.chosen} has come in since ingest started.`);
    say(at("chart-title"), symbol ? `${symbol} ` : "Price");
    if (symbol) at("chart-title").append(make("small", {}, venue));
    say(at("chart-price"), row ? price(row.mid) : "");
    if (!row) return say(at("chart-more"), "");
    const then = row.time_ms && row.book_ms - row.time_ms > THEN_MS ? ` · events of ${moment(row.time_ms)}` : "";
    say(at("chart-more"), `${percent(this.state.change(this.chosen))} · spread ${basisPoints(row.spread_bps)} bps · trade ${price(row.trade)}${then}`);
  }

  /** Take what was selected by dragging. @param {any} plot */
  #selected(plot) {
    const { left, width } = plot.select;
    if (!width) return;
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (width < MIN_DRAG) return;
    const [from, to] = [left, left + width].map((x) => plot.posToVal(x, "x"));
    this.view.show(from, to);
  }

  #make() {
    const ink = colour("--quiet");
    this.colours = markColours();
    const grid = { stroke: colour("--line"), width: 1 };
    const font = "12px system-ui, sans-serif";
    const axis = { stroke: ink, grid, ticks: { show: false }, font };
    const select = [(/** @type {any} */ plot) => this.#selected(plot)];
    const bind = { dblclick: () => () => this.view.follow() };
    const common = { legend: { show: false }, cursor: { sync: { key: "time" }, y: false, drag: { x: true, y: false, setScale: false }, bind } };
    const range = () => this.view.shown;
    const line = (/** @type {string} */ name, /** @type {string} */ fill) => ({ stroke: colour(name), fill: fill && colour(fill), width: 1.5, points: { show: false } });
    const y = { ...axis, side: 1, size: 76 };
    const x = { ...axis, space: this.#narrow ? 64 : 90, values: (/** @type {any} */ plot, /** @type {number[]} */ splits) => splits.map((s) => (plot.valToPos(s, "x") < HALF_LABEL ? "" : clock(s * 1000))) };
    this.plots = [
      new uPlot(
        {
          ...common,
          ...this.#size(0),
          padding: [8, 0, 0, 8],
          scales: { x: { range }, y: { range: around } },
          axes: [{ ...x, values: () => [], size: 6 }, { ...y, values: (/** @type {any} */ _, /** @type {number[]} */ splits) => splits.map(price) }],
          series: [{}, line("--accent", "--accent-wash")],
          hooks: { setSelect: select, draw: [(/** @type {any} */ plot) => this.#mark(plot)], setCursor: [(/** @type {any} */ plot) => this.#point(plot)] },
        },
        [[], []],
        at("chart"),
      ),
      new uPlot(
        {
          ...common,
          ...this.#size(1),
          padding: [4, 0, 0, 8],
          scales: { x: { range }, y: { range: (/** @type {any} */ _, /** @type {number} */ __, /** @type {number} */ to) => [0, to * 1.2 || 1] } },
          axes: [{ ...x, size: 28 }, { ...y, space: 26, values: (/** @type {any} */ _, /** @type {number[]} */ splits) => splits.map((bps) => `${bps} bps`) }],
          series: [{}, line("--second", "")],
          hooks: { setSelect: select },
        },
        [[], []],
        at("chart"),
      ),
    ];
    for (const { over } of this.plots) {
      wheel(over, this.view);
      touch(over, this.view);
    }
  }

  get #narrow() {
    return at("chart").clientWidth < 500;
  }

  /** @param {number} which */
  #size(which) {
    const heights = this.#narrow ? [190, 90] : [270, 104];
    return { width: Math.max(200, at("chart").clientWidth), height: heights[which] };
  }

  #resize() {
    this.plots.forEach((plot, which) => plot.setSize(this.#size(which)));
  }

  /** @param {any} plot */
  #mark(plot) {
    this.marks = drawMarks(plot, this.state, this.state.marked(this.chosen), this.colours);
    // For tests.
    at("chart").dataset.shown = `${plot.scales.x.min},${plot.scales.x.max}`;
    const newest = this.marks.at(-1);
    at("chart").dataset.marked = this.marks.map((mark) => `${mark.signal.id}@${Math.round(plot.posToVal(mark.x, "x"))}`).join(" ");
    if (newest) at("chart").dataset.newest = `${newest.x},${newest.y}`;
    at("chart").dataset.marks = String(this.marks.length);
  }

  /** Show the signal under the pointer. @param {any} plot */
  #point(plot) {
    const { left, top } = plot.cursor;
    const tip = at("tip");
    const near = this.marks.findLast((mark) => Math.hypot(mark.x - left, mark.y - top) < NEAR);
    this.near = near;
    plot.over.classList.toggle("pointed", Boolean(near));
    tip.hidden = !near;
    if (!near) return;
    const { signal } = near;
    tip.replaceChildren(make("strong", { class: kind(signal.action) }, `${signal.action} ${price(signal.price)}`), ...more(signal));
    const room = at("chart").clientWidth - 250;
    tip.style.left = `${Math.max(0, Math.min(room, near.x + 18))}px`;
    tip.style.top = `${at("chart").offsetTop + near.y + 22}px`;
  }
}

/** What the tooltip says below action and price. @param {import("./marks.js").Signal} signal */
function more(signal) {
  if (!("at_ms" in signal)) return [make("span", {}, signal.strategy), make("span", { class: "quiet" }, moment(signal.event_time_ms))];
  const age_s = (signal.at_ms - signal.event_time_ms) / 1000;
  const when = age_s < 60 ? clock(signal.event_time_ms) : `${moment(signal.event_time_ms)}, committed ${age(age_s)} later`;
  return [
    make("span", {}, `${signal.strategy}, confidence ${signal.confidence.toFixed(2)}`),
    make("span", {}, signal.rationale),
    make("span", { class: "quiet" }, when),
  ];
}

/** The range of prices with some room; a price that stands still lies in the middle. */
function around(/** @type {any} */ _, /** @type {number | null} */ low, /** @type {number | null} */ high) {
  if (low === null || high === null) return [0, 1];
  const room = Math.max(0.1 * (high - low), 1e-4 * high, 1e-12);
  return [low - room, high + room];
}

/** @returns {NodeListOf<HTMLElement>} buttons that choose how much of the newest is shown */
const spans = () => at("chart-bar").querySelectorAll("[data-span]");
