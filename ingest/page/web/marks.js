// The marks of signals in the chart: the shape is the action, the colour the strategy.

import { at, colour, make } from "./dom.js";
import { natural } from "./format.js";

const SIZE = 6;
/** How many colours there are; more strategies share them. */
const COLOURS = 8;

/** @typedef {import("./state.js").Signal | import("./state.js").OldSignal} Signal */
/** @typedef {{x: number, y: number, signal: Signal}} Mark */

/** @param {string} action */
export const kind = (action) => (action === "buy" || action === "sell" ? action : "other");

/** By the order of the names, so that a strategy keeps its colour. @param {import("./state.js").State} state @param {Signal[]} drawn */
function numbers(state, drawn) {
  const names = new Set([...Object.keys(state.now.strategies), ...[...state.signals, ...drawn].map((signal) => signal.strategy)]);
  return new Map([...names].sort(natural).map((name, number) => [name, number % COLOURS]));
}

/** The colours of now. */
export const markColours = () => ({ edge: colour("--card"), marks: Array.from({ length: COLOURS }, (_, number) => colour(`--mark-${number}`)) });

/** Draw those of some signals that are in sight. @param {any} plot @param {import("./state.js").State} state @param {Signal[]} signals @param {{edge: string, marks: string[]}} colours @returns {Mark[]} */
export function drawMarks(plot, state, signals, colours) {
  const { ctx, bbox } = plot;
  const scale = devicePixelRatio;
  const by_name = numbers(state, signals);
  /** @type {Mark[]} */
  const marks = [];
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const signal of signals) {
    const x = plot.valToPos(signal.event_time_ms / 1000, "x", true);
    const y = plot.valToPos(signal.price, "y", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.fillStyle = colours.marks[by_name.get(signal.strategy) ?? 0];
    ctx.strokeStyle = colours.edge;
    shape(ctx, signal.action, x, y, SIZE * scale);
    marks.push({ x: (x - bbox.left) / scale, y: (y - bbox.top) / scale, signal });
  }
  ctx.restore();
  drawLegend(marks, by_name);
  return marks;
}

/** Name the strategies whose marks are in sight. @param {Mark[]} marks @param {Map<string, number>} by_name */
function drawLegend(marks, by_name) {
  const names = [...new Set(marks.map((mark) => mark.signal.strategy))].sort(natural);
  if (at("legend").dataset.names === names.join()) return;
  at("legend").dataset.names = names.join();
  at("legend").replaceChildren(...names.map((name) => make("li", { class: `mark-${by_name.get(name)}` }, name)));
}

/** Buy: a triangle that points up, below the price; sell: down, above it; other: a diamond. */
function shape(/** @type {CanvasRenderingContext2D} */ ctx, /** @type {string} */ action, /** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ size) {
  const paths = {
    buy: [[0, 0.4], [0.9, 1.9], [-0.9, 1.9]],
    sell: [[0, -0.4], [0.9, -1.9], [-0.9, -1.9]],
    other: [[0, -1], [1, 0], [0, 1], [-1, 0]],
  };
  ctx.beginPath();
  for (const [dx, dy] of paths[kind(action)]) ctx.lineTo(x + dx * size, y + dy * size);
  ctx.closePath();
  ctx.fill();
  ctx.lineWidth = devicePixelRatio;
  ctx.stroke();
}
