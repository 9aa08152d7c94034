// What led to a signal: ingest has its strategy run again, and each number of the decision is shown.

import { Problem } from "./api.js";
import { make, say } from "../dom.js";
import { instant, number } from "../format.js";

/** Of a longer value, such as a list of prices, the beginning is shown. */
const CHARACTERS = 100;
/** Of a book, the best levels are. */
const LEVELS = 5;
const GOOD = ["equal", "derived"];

/** A button that has it run again, and below it the answer. @param {import("./api.js").Api} api @param {string} id */
export function runAgain(api, id) {
  const button = /** @type {HTMLButtonElement} */ (make("button", { type: "button", class: "primary" }, "Run it again"));
  const told = make("p", { class: "told", role: "status" });
  const place = make("div", { class: "decision" });
  button.addEventListener("click", async () => {
    button.disabled = true;
    place.replaceChildren();
    tell(told, "It runs again; that takes up to 55 s …");
    try {
      const { data } = await api.get(`/signals/${encodeURIComponent(id)}/why`);
      tell(told, `${sentence(data.says)}${data.source ? ` (${data.source})` : ""}.`, !GOOD.includes(data.verdict));
      place.replaceChildren(...answer(data));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      tell(told, `Not run again: ${problem.message}.`, true);
    } finally {
      button.disabled = false;
    }
  });
  return make("div", { class: "run-again" }, button, told, place);
}

/** @param {any} found the answer of `why` */
function answer(found) {
  const notes = found.notes.length ? [make("ul", {}, ...found.notes.map((/** @type {string} */ note) => make("li", {}, note)))] : [];
  const differs = found.differences.map((/** @type {any} */ each) => [each.field, short(each.stored), short(each.derived)]);
  return [...notes, ...part("Differences", table(["Field", "Stored", "Now"], differs)), ...(found.decision ? decision(found.decision) : [])];
}

/** @param {any} of */
function decision(of) {
  const numbers = of.numbers.map((/** @type {any} */ each) => [each.name, number(each.value), each.threshold == null ? "" : `${each.sign} ${number(each.threshold)}`, each.met == null ? "" : each.met ? "yes" : "no"]);
  const { said, reason, rules, since_last_signal_s: since_s, signals_this_hour: in_hour } = of.gate;
  const gate = { said: said === "held" ? `held back: ${reason}` : said === "passed" ? "passed" : "not asked: there was no signal", ...rules, "last of this symbol and action": since_s == null ? "none before" : `${since_s} s before`, "signals of the symbol in the hour": in_hour };
  const recent = of.recent.map((/** @type {any} */ each) => [instant(each.event.time_ms), each.event.kind, Object.entries(each.changed).map(([name, [old, now]]) => `${name} ${short(old)} → ${short(now)}`).join(", ")]);
  const needed = of.warmup ? `, ${of.warmup} needed for a signal` : "";
  return [
    ...part("Event", event(of.event)),
    ...part("It raised", facts(Object.fromEntries(of.errors.map((/** @type {string} */ each, /** @type {number} */ at) => [String(at + 1), each])))),
    ...part("Numbers of the decision", table(["Number", "Value", "Threshold", "Met"], numbers)),
    ...part("Gate", facts(gate)),
    ...part("Parameters", facts(of.parameters)),
    ...part(`State before the event, after ${of.seen} others${needed}`, facts(of.state_before)),
    ...part("The last events that changed it", table(["Event time", "Kind", "What changed"], recent)),
  ];
}

/** The event by its fields, and of a book the best levels. @param {any} of */
export function event({ time_ms, bids, asks, ...others }) {
  const named = { time: instant(time_ms), ...others };
  if (!bids || !asks) return facts(named);
  const depth = Math.max(bids.length, asks.length);
  const levels = Array.from({ length: Math.min(LEVELS, depth) }, (_, place) => {
    const [[bid = "", bids_of = ""], [ask = "", asks_of = ""]] = [bids, asks].map((side) => (side[place] ?? []).map(number));
    return [String(place + 1), bids_of, bid, ask, asks_of];
  });
  const best = depth > LEVELS ? `; the best ${LEVELS}:` : "";
  const fields = facts({ ...named, levels: `${bids.length} bids, ${asks.length} asks${best}` });
  const book = table(["Level", "Bid quantity", "Bid", "Ask", "Ask quantity"], levels);
  return make("div", {}, ...[fields, book].filter((each) => each !== null));
}

/** @param {string} name @param {HTMLElement | null} content */
const part = (name, content) => (content ? [make("h4", {}, name), content] : []);

/** @param {Record<string, any>} all */
function facts(all) {
  const entries = Object.entries(all);
  return entries.length ? make("dl", {}, ...entries.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, short(value))])) : null;
}

/** @param {string[]} heads @param {string[][]} lines */
function table(heads, lines) {
  if (!lines.length) return null;
  const rows = lines.map(([first, ...rest]) => make("tr", {}, make("th", { scope: "row" }, first), ...rest.map((text) => make("td", {}, text))));
  const head = make("thead", {}, make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text))));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": heads.join(", ") }, make("table", {}, head, make("tbody", {}, ...rows)));
}

/** @param {any} value */
function short(value) {
  const text = value === null ? "none" : typeof value === "string" ? value : typeof value === "number" ? number(value) : JSON.stringify(value);
  return text.length > CHARACTERS ? `${text.slice(0, CHARACTERS)} …` : text;
}

/** @param {string} text */
const sentence = (text) => text[0].toUpperCase() + text.slice(1);

/** @param {Element} told @param {string} text */
function tell(told, text, is_bad = false) {
  say(told, text);
  told.classList.toggle("bad", is_bad);
}
