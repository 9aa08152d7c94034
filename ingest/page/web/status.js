// How the pipeline is: parts, figures, lanes, what was left out. What is wrong is said in words, too.

import { at, make, say, sparkline } from "./dom.js";
import { age, count, milliseconds, quietness, rate, sinceEvent } from "./format.js";

/** A lane whose oldest event is older waits for something. */
const SLOW_S = 5;
const STUCK_S = 30;
const LANES_SHOWN = 24;
/** @typedef {import("./state.js").State} State */

/** @param {State} state */
export function drawStatus(state) {
  const { ready, lanes, deadletters } = state.now;
  const oldest_s = Math.max(0, ...lanes.map((/** @type {any} */ lane) => lane[2]));
  const stands_by = ready.parts.standing_by;
  at("standby").hidden = !stands_by;
  at("main").hidden = stands_by;
  at("skip").setAttribute("href", stands_by ? "#standby" : "#main");
  drawParts(ready.parts, oldest_s, feedChip(state), stands_by);
  // The page says it at length.
  drawProblems(ready.parts.findings.filter((/** @type {Finding} */ each) => each.name !== "standing_by"));
  drawFigures(state, oldest_s);
  drawLanes(lanes);
  drawLosses(state, deadletters);
}

/** How long ago the newest event came. @param {State} state @returns {[string, string, string]} */
function feedChip(state) {
  const age_s = state.now.feed_age_s;
  if (age_s == null) return ["Feed", "no event yet", "unknown"];
  // A feed of candles or liquidations only is given its time; null: all that there is.
  const patience_s = state.now.feed_patience_s;
  const mood = patience_s === null ? "" : quietness(age_s - patience_s, state.about.quiet_s);
  return ["Feed", sinceEvent(age_s), mood || "good"];
}

/** One that stands by knows of servers only. @param {any} parts @param {number} oldest_s @param {[string, string, string]} feed @param {boolean} stands_by */
function drawParts(parts, oldest_s, feed, stands_by) {
  const workers = parts.workers;
  const lanes = oldest_s > SLOW_S ? `waiting ${age(oldest_s)}` : "moving";
  /** @type {[string, string, string][]} */
  const servers = [
    ["NATS", parts.nats ? "up" : "unavailable", parts.nats ? "good" : "bad"],
    ["Redis", parts.redis ? "up" : "unavailable", parts.redis ? "good" : "bad"],
  ];
  const shown = stands_by ? servers : [
    feed,
    ...servers,
    ["Workers", workers == null ? "?" : String(workers), workers == null ? "unknown" : workers ? "good" : "bad"],
    ["Lanes", lanes, oldest_s > STUCK_S ? "bad" : oldest_s > SLOW_S ? "slow" : "good"],
  ];
  const items = shown.map(([name, how, mood]) => make("li", { class: mood }, make("span", {}, name), make("strong", {}, how)));
  if (at("parts").textContent !== items.map((item) => item.textContent).join("")) at("parts").replaceChildren(...items);
}

/** @typedef {{sign: string, what: string, says: string, do: string, name: string}} Finding */

/** Say in words what is wrong and what to do: the same as /ready and the doctor. @param {Finding[]} all */
export function drawProblems(all) {
  const box = at("problems");
  // What has no name is well.
  const findings = all.filter((each) => each.name);
  box.hidden = findings.length === 0;
  document.title = findings.some((each) => each.sign !== "ok") ? "⚠ Realtime Strategies" : "Realtime Strategies";
  const told = JSON.stringify(findings);
  if (box.dataset.told === told) return;
  box.dataset.told = told;
  // Read out is what is new, not each time that an age in it has changed.
  const wrong = findings.filter((each) => each.sign !== "ok");
  const names = wrong.map((each) => `${each.name} ${each.what}`).join();
  if (at("alert").dataset.names !== names) say(at("alert"), wrong.map((each) => `${each.what}: ${each.says}.`).join(" "));
  at("alert").dataset.names = names;
  box.replaceChildren(...findings.map((each) => {
    const todo = each.do ? [" ", make("span", { class: "quiet" }, "→ ", ...withCode(each.do))] : [];
    return make("p", { class: each.sign }, make("strong", {}, each.what), ` ${each.says}`, ...todo);
  }));
}

/** What stands between backticks is a command. @param {string} text */
function withCode(text) {
  return text.split("`").map((part, number) => (number % 2 ? make("code", {}, part) : part));
}

/** @param {State} state @param {number} oldest_s */
function drawFigures(state, oldest_s) {
  const { now, rates } = state;
  const held = now.lanes.reduce((/** @type {number} */ sum, /** @type {any} */ lane) => sum + lane[1], 0);
  const signals = state.counted("signals").reduce((sum, [, number]) => sum + number, 0);
  const [p50, p99] = now.latency;
  /** @type {[string, string, string, string][]} */
  const shown = [
    ["Events", `${rate(rates.events)}/s`, `${count(now.totals.events)} since the start`, ""],
    ["Signals", count(signals), `${rate(rates.relayed)}/s relayed`, ""],
    ["Waiting", count(held), `oldest ${age(oldest_s)}`, oldest_s > SLOW_S ? "bad" : ""],
    ["Latency p50", milliseconds(p50), "of the last minute", ""],
    ["Latency p99", milliseconds(p99), "", ""],
  ];
  const figures = shown.map(([name, value, more, mood]) =>
    make("div", { class: `figure ${mood}` }, make("span", { class: "name" }, name), make("strong", {}, value), make("span", { class: "quiet" }, more)),
  );
  const line = sparkline([state.latencies.map(([, each]) => each), state.latencies.map(([each]) => each)]);
  figures[4].lastElementChild?.replaceWith(line);
  at("figures").replaceChildren(...figures);
}

/** A table for each pool; of many lanes those whose events wait longest. @param {[string, number, number][]} lanes */
function drawLanes(lanes) {
  const order = lanes.length > LANES_SHOWN ? [...lanes].sort((a, b) => b[2] - a[2]) : lanes;
  const most = Math.max(100, ...lanes.map((lane) => lane[1]));
  /** @type {Map<string, HTMLElement[]>} */
  const pools = new Map();
  for (const [name, held, age_s] of order.slice(0, LANES_SHOWN)) {
    const pool = name.slice(0, name.lastIndexOf("-"));
    const mood = age_s > STUCK_S ? "bad" : age_s > SLOW_S ? "slow" : "";
    const values = [make("td", { class: "number" }, count(held)), make("td", { class: "number" }, held ? age(age_s) : "–")];
    const line = make("tr", { class: mood }, make("th", { scope: "row" }, name), make("td", {}, barred(held / most)), ...values);
    pools.set(pool, [...(pools.get(pool) ?? []), line]);
  }
  const heads = () => [make("th", { scope: "col" }, "Lane"), make("th", { scope: "colgroup", colspan: "2" }, "Events waiting"), make("th", { scope: "col" }, "Oldest")];
  const tables = [...pools.values()].map((lines) => make("table", { class: "bars" }, make("thead", {}, make("tr", {}, ...heads())), make("tbody", {}, ...lines)));
  at("lanes").replaceChildren(...tables);
  say(at("lanes-more"), order.length > LANES_SHOWN ? `and ${order.length - LANES_SHOWN} more` : "");
}

/** @param {number} share */
function barred(share) {
  const fill = make("span");
  fill.style.width = `${(100 * share).toFixed(1)}%`;
  return make("span", { class: "bar" }, fill);
}

/** @param {State} state @param {[number, number] | null} letters */
function drawLosses(state, letters) {
  const counters = state.now.counters;
  /** @type {[string, string, boolean][]} */
  const shown = [
    ["Frames refused", spelled(state.counted("refused")), true],
    ["Events dropped", spelled(state.counted("dropped")), true],
    ["Signals held back", spelled(state.counted("held")), false],
    ["Frames skipped", spelled(state.counted("skipped")), false],
    ["Repeats of the feed", counters.repeats ? count(counters.repeats) : "none", false],
    ["Batches sent again", counters.resends ? count(counters.resends) : "none", false],
    ["Dead letters", letters === null ? "–" : letters[0] ? `${count(letters[0])}, oldest ${age(letters[1])}` : "none", true],
  ];
  const unfilled = spelled(state.counted("unfilled"));
  if (unfilled !== "none") shown.splice(3, 0, ["Paper orders not filled", unfilled, false]);
  at("losses").replaceChildren(
    ...shown.flatMap(([name, value, grave]) => [
      make("dt", {}, name),
      make("dd", { class: value === "none" ? "quiet" : grave && value !== "–" ? "warn" : "" }, value),
    ]),
  );
}

/** @param {[string, number][]} counts */
function spelled(counts) {
  const there = counts.filter(([, number]) => number);
  return there.map(([name, number]) => `${count(number)} ${name}`).join(", ") || "none";
}
