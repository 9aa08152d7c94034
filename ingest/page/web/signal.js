// One signal with all that is known of it: what it says, what it was made of, the configuration behind it, the price after
// it. The address names it (#signal=ID), so that it can be linked.

import { at, make, say } from "./dom.js";
import { age, clock, moment, number, percent, price } from "./format.js";
import { kind } from "./marks.js";
import { Problem } from "./operators/api.js";
import { differences } from "./operators/parameters.js";
import { event, runAgain } from "./operators/why.js";
import { keyOf } from "./state.js";

const NAMED = /^#signal=(.+)$/;
const HORIZONS_S = [1, 10, 60];
/** A price that is so much later is not that of the moment. */
const LATE_MS = 11_000;
const CHANGES = 200;
/** @param {string} demo */
const noStream = (demo) => `Ingest can't run it again: core NATS keeps no events. The command runs it on a recording. With INGEST_SOURCE=jetstream, for example ${demo} --source jetstream, a stream keeps them.`;
/** What the heading and the tables show. */
const SHOWN = ["id", "signal_id", "strategy", "strategy_id", "symbol", "action", "indicators", "trigger", "rationale", "metadata", "timestamp", "event_time_ms", "config_version", "signal_type", "current_price", "schema_version"];

export class SignalDrawer {
  /** @param {import("./operators/api.js").Api} api @param {import("./state.js").State} state */
  constructor(api, state) {
    this.api = api;
    this.state = state;
    at("signal-close").addEventListener("click", () => dialog().close());
    dialog().addEventListener("close", () => history.replaceState(null, "", location.pathname + location.search));
    addEventListener("hashchange", () => this.openLinked());
  }

  /** Open the one that the address names, if it does. */
  openLinked() {
    const id = NAMED.exec(location.hash)?.[1];
    if (id) this.open(decodeURIComponent(id));
  }

  /** @param {string} id */
  async open(id) {
    history.replaceState(null, "", `${location.pathname}${location.search}#signal=${encodeURIComponent(id)}`);
    say(at("signal-title"), "Signal");
    say(at("signal-told"), "");
    at("signal-body").replaceChildren();
    if (!dialog().open) dialog().showModal();
    const { commands, has_stream } = this.state.about;
    const command = `${commands.tasks} why ${id}${has_stream ? " --stream" : " --from RECORDING"}`;
    try {
      await this.#show(await this.#find(id), command);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      say(at("signal-told"), problem.message);
      at("signal-body").replaceChildren(copied("Command", command));
    }
  }

  /** Look among the last signals and, for operators, in the ledger. Raises Problem. @param {string} id @returns {Promise<any>} */
  async #find(id) {
    const path = `/signals/${encodeURIComponent(id)}`;
    const answer = await fetch(path).catch(() => null);
    if (answer?.ok) return answer.json();
    if (answer?.status !== 404) throw new Problem(0, "Ingest does not answer.");
    if (!this.api.signed_in) throw new Problem(404, "It is not among the last 500 signals. Operators who sign in, and the command line, find older ones:");
    const { data } = await this.api.get(path);
    if (data.held) say(at("signal-told"), `The gate held it back: ${data.held}.`);
    return data.signal;
  }

  /** @param {any} signal the contract's fields @param {string} command */
  async #show(signal, command) {
    const at_ms = this.state.signals.find((each) => each.id === signal.id)?.at_ms;
    at("signal-title").replaceChildren(make("span", { class: kind(signal.action) }, signal.action), ` ${signal.symbol} ${price(signal.price)}`);
    const { venue, kind: of, id } = signal.trigger;
    const more = Object.entries(signal).filter(([name]) => !SHOWN.includes(name));
    const configuration = make("div", {}, facts([["version", signal.config_version]]));
    const whole = make("div");
    at("signal-body").replaceChildren(
      make("p", {}, make("strong", {}, signal.strategy), ` ${signal.rationale}`),
      ...section("Event", make("div", {}, facts([
        ["time", moment(signal.event_time_ms)],
        ["committed", at_ms ? `${age((at_ms - signal.event_time_ms) / 1000)} later` : "–"],
        ["triggered by", `${of} ${id} of ${venue} ${signal.trigger.symbol}`],
      ]), whole)),
      ...section("What led to it, run again", make("div", {}, ...this.#again(signal.id), copied("Command", command))),
      ...section("Indicators", facts(Object.entries(signal.indicators ?? {}))),
      ...section("Order", facts(more)),
      ...section("Price after it, as the chart has it", this.#after(signal)),
      ...section("Configuration", configuration),
      ...section("Link", copied("Link", location.href)),
      ...section("JSON", copied("JSON", JSON.stringify(signal, null, 1))),
    );
    await showEvent(whole, signal.id);
    if (this.api.signed_in) await this.#configure(configuration, signal);
    else if (this.state.about.has_api) configuration.append(make("p", { class: "quiet" }, "Sign in to see its parameters and the change that put them in force."));
  }

  /** What ingest itself can do about it. @param {string} id */
  #again(id) {
    const { commands, has_stream } = this.state.about;
    if (!has_stream) return [make("p", { class: "quiet" }, noStream(commands.demo))];
    return this.api.signed_in ? [runAgain(this.api, id)] : [];
  }

  /** @param {any} signal */
  #after(signal) {
    const points = this.state.history.get(keyOf(signal));
    const known = HORIZONS_S.map((horizon_s) => {
      const found = priceAt(points, signal.event_time_ms + 1000 * horizon_s);
      return [`${horizon_s} s`, found ? `${price(found)}, ${percent(found / signal.price - 1)}` : "–"];
    });
    return facts(/** @type {[string, any][]} */ (known));
  }

  /** Show the parameters that it ran with, and the change that put them in force. @param {HTMLElement} place @param {any} signal */
  async #configure(place, signal) {
    try {
      const [version, changes] = await Promise.all([
        this.api.get(`/configuration/versions/${signal.config_version}`),
        this.api.get(`/configuration/history?limit=${CHANGES}`),
      ]);
      const pools = Object.values(version.data.tables.pools);
      const own = pools.map((pool) => /** @type {any} */ (pool).strategies?.[signal.strategy]).find(Boolean);
      place.append(facts([["differs from the defaults", own && Object.keys(own).length ? JSON.stringify(own) : "in nothing"]]));
      const change = changes.data.find((/** @type {any} */ each) => each.config_version === signal.config_version);
      if (!change) return;
      const who = `In force since ${moment(Date.parse(change.changed_at))}, by ${change.changed_by}${change.reason ? `: ${change.reason}` : ""}.`;
      place.append(make("p", {}, who), ...(change.differences?.length ? [differences(change.differences, "Change of the configuration")] : []));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      place.append(make("p", { class: "warn" }, `Its parameters are not known: ${problem.message}.`));
    }
  }
}

/** Show the event that a signal answers: ingest keeps it beside the last signals. @param {HTMLElement} place @param {string} id */
async function showEvent(place, id) {
  const answer = await fetch(`/signals/${encodeURIComponent(id)}/event`).catch(() => null);
  const shown = answer?.ok ? event(await answer.json()) : null;
  if (shown) place.append(shown);
}

/** The first price at a time or soon after it. @param {import("./state.js").History | undefined} points @param {number} time_ms */
function priceAt(points, time_ms) {
  const found = points?.times_ms.findIndex((ms) => ms >= time_ms) ?? -1;
  if (!points || found < 0 || points.times_ms[0] > time_ms || points.times_ms[found] - time_ms > LATE_MS) return null;
  return points.mid[found];
}

/** @param {string} name @param {Node} content */
const section = (name, content) => (content.hasChildNodes() ? [make("h3", {}, name), content] : []);

/** @param {[string, any][]} all */
function facts(all) {
  const list = make("dl");
  for (const [name, value] of all) {
    if (value != null) list.append(make("dt", {}, name), make("dd", {}, typeof value === "object" ? JSON.stringify(value) : typeof value === "number" ? number(value) : String(value)));
  }
  return list;
}

/** A text to take along: one click selects it; a button copies it where the browser lets the page do that. @param {string} name @param {string} text */
function copied(name, text) {
  const shown = make("pre", { class: "whole", tabindex: "0", role: "region", "aria-label": name }, text);
  if (!navigator.clipboard) return shown;
  const button = make("button", { type: "button", "aria-label": `Copy ${name}` }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    say(at("signal-told"), `${name} copied at ${clock(Date.now())}.`);
    // That stands at the top, which may be scrolled away.
    say(button, "Copied");
    button.setAttribute("aria-label", `Copied ${name}`);
  });
  return make("div", { class: "copied" }, shown, button);
}

const dialog = () => /** @type {HTMLDialogElement} */ (at("signal"));
