// What operators do to a strategy: hold its signals back, change its parameters, and undo that. Each change says who and
// why, and is refused if somebody else changed the configuration since it was shown here.

import { CHANGED, Problem } from "./api.js";
import { asking } from "./ask.js";
import { differences, Parameters } from "./parameters.js";
import { at, make, say } from "../dom.js";
import { moment } from "../format.js";

const CHANGES_SHOWN = 20;
/** Stands for every strategy: what is set for it is the gate and the paper account of all. */
export const ALL = "all";
/** Values of a gate that have buttons of their own. */
const BUTTONS = ["gate.killed", "gate.paused"];

export class Operate {
  /** @param {import("./api.js").Api} api @param {import("../state.js").State} state */
  constructor(api, state) {
    this.api = api;
    this.state = state;
    this.name = "";
    this.etag = "";
    this.parameters = new Parameters(
      (values) => this.#check(values),
      (values) => this.#change(`config${this.#symbol}`, { parameters: values }),
    );
    at("operate-symbol").addEventListener("change", () => this.#load());
    at("operate-close").addEventListener("click", () => dialog().close());
  }

  /** @param {string} name */
  async open(name) {
    this.name = name;
    say(at("operate-title"), name === ALL ? "All strategies" : name);
    say(at("operate-values"), name === ALL ? "Gate and paper account" : "Parameters, gate and paper account");
    at("operate-symbol").closest("label").hidden = name === ALL;
    this.#tell("");
    field("operate-name").value = this.api.name;
    field("operate-reason").value = "";
    const symbols = [...new Set([...this.state.rows.values()].map((row) => row.symbol))].sort();
    at("operate-symbol").replaceChildren(make("option", { value: "" }, "all"), ...symbols.map((symbol) => make("option", { value: symbol }, symbol)));
    for (const id of ["operate-state", "operate-switches", "parameters", "parameters-check", "operate-changes"]) at(id).replaceChildren();
    dialog().showModal();
    await this.#load();
  }

  get #path() {
    return `/strategies/${encodeURIComponent(this.name)}`;
  }

  get #symbol() {
    const symbol = field("operate-symbol").value;
    return symbol && `/${encodeURIComponent(symbol)}`;
  }

  /** Show what is in force. @param {boolean} keep whether what was typed stays */
  async #load(keep = false) {
    try {
      const venues = [...new Set([...this.state.rows.values()].map((row) => row.venue))].map((venue) => `venues=${encodeURIComponent(venue)}`);
      const parts = [`config${this.#symbol}`, "schema", `audit?limit=${CHANGES_SHOWN}`].map((part) => `${this.#path}/${part}`);
      const [config, schema, audit, shared, all, general] = await Promise.all(
        [...parts, `/configuration/schema?${venues.join("&")}`, `/strategies/${ALL}/config`, `${this.#path}/config`].map(this.api.get),
      );
      this.etag = config.etag;
      this.#drawState(config.data);
      this.parameters.draw(this.#groups(config.data, schema.data, shared.data.map(this.#inherited(all.data.values, general.data.values))), { ...config.data.parameters, ...config.data.values }, keep);
      this.#drawChanges(audit.data);
    } catch (problem) {
      this.#failed(problem);
    }
  }

  /** What holds of a paper account without a value: it stands in the hint of each. @param {Record<string, any>} all @param {Record<string, any>} general */
  #inherited(all, general) {
    const holds = this.name === ALL ? {} : this.#symbol ? { ...all, ...general } : all;
    return (/** @type {import("./parameters.js").Parameter} */ each) => {
      if (!each.name.startsWith("paper.") || !(each.name in holds)) return each;
      const from = this.#symbol && each.name in general ? "as for all symbols" : "as for all strategies";
      return { ...each, description: each.description.replace(/unless set .*/, `unless set ${holds[each.name]}, ${from}`) };
    };
  }

  /** @param {any} config @param {any[]} own @param {any[]} shared @returns {import("./parameters.js").Group[]} */
  #groups(config, own, shared) {
    const gate = shared.filter(({ name }) => name.startsWith("gate.") && !BUTTONS.includes(name));
    const paper = shared.filter(({ name }) => name.startsWith("paper."));
    if (this.name === ALL) return [
      { title: "Gate", note: "Each strategy's own gate applies too.", schema: gate },
      { title: "Paper account", note: "A value here opens an account for every strategy. A strategy's own value goes before it.", schema: paper },
    ];
    const others = gate.map(({ name, default: none }) => [name, config.gate[name.slice("gate.".length)], config.values[name] ?? none]).filter(([, both, mine]) => both !== mine);
    const both = others.length ? ` With it, in force: ${others.map(([name, value]) => `${name} ${value}`).join(", ")}.` : "";
    return [
      { title: "", note: own.length ? "" : "It has no parameters.", schema: own },
      // A gate is that of all symbols.
      ...(this.#symbol ? [] : [{ title: "Gate", note: `What is set for all strategies applies too.${both}`, schema: gate }]),
      { title: "Paper account", note: "A value here opens the account, if it is not open. What is empty is as for all strategies.", schema: paper },
    ];
  }

  /** @param {any} config */
  #drawState(config) {
    const { killed, paused, off } = config.gate;
    const how = off ? "Switched off: it gets no events" : killed ? "Killed: every signal is held back" : paused ? "Paused: signals are held back" : this.name === ALL ? "Live: nothing is held back for all" : "Live: signals go out";
    at("operate-state").replaceChildren(make("strong", { class: how.startsWith("Live") ? "up" : "down" }, how), ` · version ${config.config_version}`);
    const pause = paused || off ? this.#button("Resume", "resume") : this.#button("Pause", "pause");
    const kill = killed ? this.#button("Revive", "revive") : asking("Kill…", "Hold every signal back?", "Kill", () => this.#change("kill", {}));
    at("operate-switches").replaceChildren(pause, " ", kill);
  }

  /** @param {string} label @param {string} action */
  #button(label, action) {
    const button = make("button", { type: "button" }, label);
    button.addEventListener("click", () => this.#change(action, {}));
    return button;
  }

  /** @param {any[]} changes newest first */
  #drawChanges(changes) {
    const undo = () => asking("Undo the newest…", "Undo the newest change of this strategy?", "Undo", () => this.#change("rollback", {}));
    const back = (/** @type {any} */ each) => asking("Back to this…", `Bring back what was set after the change of ${moment(Date.parse(each.changed_at))}?`, "Roll back", () => this.#change("rollback", { rollback_id: each.id }));
    at("operate-changes").replaceChildren(...changes.map((each, number) => {
      const keys = Object.keys(each.new_parameters).map((name) => ({ key: name, old: each.old_parameters[name], new: each.new_parameters[name] }));
      const who = `${moment(Date.parse(each.changed_at))} · ${each.changed_by}${each.reason ? ` · ${each.reason}` : ""}`;
      return make("li", {}, make("p", {}, who), differences(keys, `Change ${changes.length - number}`), number ? back(each) : undo());
    }));
    at("operate-unchanged").hidden = changes.length > 0;
  }

  /** @param {Record<string, any>} values */
  async #check(values) {
    try {
      const answer = await this.api.post(`${this.#path}/config${this.#symbol}`, { parameters: values, validate_only: true }, this.etag);
      this.#tell("Checked; nothing is changed yet.");
      return answer.metadata;
    } catch (problem) {
      await this.#failed(problem);
      return null;
    }
  }

  /** Make a change, and show what is in force then. @param {string} what @param {Record<string, any>} body */
  async #change(what, body) {
    const said = { changed_by: field("operate-name").value.trim(), reason: field("operate-reason").value.trim() };
    for (const [id, value] of [["operate-name", said.changed_by], ["operate-reason", said.reason]]) {
      if (value) continue;
      this.#tell("Not done: say who you are and why, for the history.", true);
      at(id).focus();
      return;
    }
    // It is drawn again below: what is typed meanwhile would be lost.
    at("parameters").inert = true;
    try {
      const { data, metadata } = await this.api.post(`${this.#path}/${what}`, { ...body, ...said }, this.etag);
      const changes = (data.differences ?? metadata.differences).length;
      await this.#load();
      this.#tell(changes ? `Done: version ${data.config_version} is in force with the next batch of each lane.` : "Nothing changed: a pool, or what is set for all strategies, has it so.");
    } catch (problem) {
      await this.#failed(problem);
    } finally {
      at("parameters").inert = false;
    }
  }

  /** @param {unknown} problem */
  async #failed(problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status === CHANGED) await this.#load(true);
    const more = problem.status === CHANGED ? ". What is in force now is shown: check your change again" : "";
    this.#tell(`Not done: ${problem.message}${more}.`, true);
    this.parameters.blame(problem.faults);
  }

  /** @param {string} text @param {boolean} wrong */
  #tell(text, wrong = false) {
    say(at("operate-told"), text);
    at("operate-told").className = wrong ? "told bad" : "told";
    // What was pressed may stand far below it.
    at("operate-told").scrollIntoView({ block: "nearest" });
  }
}

const dialog = () => /** @type {HTMLDialogElement} */ (at("operate"));

/** @param {string} id */
const field = (id) => /** @type {HTMLInputElement} */ (at(id));
