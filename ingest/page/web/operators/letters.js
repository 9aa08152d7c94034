// Dead letters, for operators: what could not be processed, why, and its frame; sent in again, or removed.

import { Problem } from "./api.js";
import { asking } from "./ask.js";
import { at, make, say } from "../dom.js";
import { count, moment } from "../format.js";

const SHOWN = 50;
const WAIT_S = 5;
const GONE = 404;
/** They are read again when their number has changed, not more often. */
const RELOAD_MS = 5000;
/** The result for one that was sent in again, by the verdict; `why` says more. @type {Record<string, (why: string) => string>} */
const VERDICTS = {
  applied: (why) => `Applied in the pool${why.includes(", ") ? "s" : ""} ${why}. The letter is removed.`,
  late: (why) => `Too late: ${why}. It stays.`,
  again: (why) => `The same again: ${why}. It stays.`,
  unclear: (why) => `Unclear: ${why}. It stays.`,
  "not yet": (why) => `Not yet: ${why}. It stays.`,
  "can't": (why) => `It can't be sent in again: ${why}.`,
  "not tried": (why) => `Not tried: ${why}. It stays.`,
};
const REASONS = ["refused", "strategy_error", "condemned", "unpublishable", "unreadable"];

/** @typedef {{id: string, at: string, reason: string, detail: string, refusal?: string, subject?: string, pool?: string,
 *             strategy?: string, symbol?: string, event?: any, raw?: string, raw_encoding?: string, raw_is_cut?: boolean}} Letter */

export class Letters {
  /** @param {import("./api.js").Api} api */
  constructor(api) {
    this.api = api;
    /** @type {Letter[]} */
    this.shown = [];
    this.known = -1;
    this.loaded_ms = 0;
    at("letters-reason").append(...REASONS.map((reason) => make("option", { value: reason }, reason)));
    at("letters-reason").addEventListener("change", () => this.load());
    at("letter-close").addEventListener("click", () => dialog().close());
    const those = () => this.shown.map((letter) => letter.id);
    at("letters-all").replaceChildren(
      asking("Retry these…", "Send all that are listed in again?", "Retry", () => this.#retry(those(), "letters-told")),
      " ",
      asking("Drop these…", "Remove all that are listed for good?", "Drop", () => this.#drop(those(), "letters-told")),
    );
  }

  /** @param {number | null} number how many there are, as ingest told last */
  draw(number) {
    if (!this.api.signed_in) this.known = -1;
    else if (number !== null && number !== this.known && Date.now() - this.loaded_ms > RELOAD_MS) {
      this.known = number;
      this.load();
    }
  }

  async load() {
    this.loaded_ms = Date.now();
    const reason = /** @type {HTMLSelectElement} */ (at("letters-reason")).value;
    try {
      const { data, metadata } = await this.api.get(`/dead-letters?limit=${SHOWN}${reason && `&reason=${reason}`}`);
      this.shown = data;
      at("letters").replaceChildren(...data.map((/** @type {Letter} */ each) => this.#line(each)));
      at("letters").closest("div").hidden = at("letters-all").hidden = !data.length;
      at("letters-empty").hidden = data.length > 0;
      say(at("letters-empty"), reason ? "None has this reason." : "There are none.");
      say(at("letters-more"), metadata.next_cursor ? `The newest ${SHOWN}.` : "");
    } catch (problem) {
      tell("letters-told", failed(problem), true);
    }
  }

  /** @param {Letter} letter */
  #line(letter) {
    const open = make("button", { type: "button", "aria-label": `Open ${letter.id}` }, "Open");
    open.addEventListener("click", () => this.#open(letter.id));
    const of = [letter.strategy, letter.symbol ?? letter.subject].filter(Boolean).join(" · ");
    const detail = letter.detail.trim().split("\n").at(-1) ?? "";
    return make(
      "tr",
      {},
      make("th", { scope: "row", class: "quiet" }, moment(Date.parse(letter.at))),
      make("td", {}, letter.refusal ? `${letter.reason}: ${letter.refusal}` : letter.reason),
      make("td", {}, of),
      make("td", { class: "why quiet" }, detail),
      make("td", { class: "operators" }, open),
    );
  }

  /** @param {string} id */
  async #open(id) {
    say(at("letter-title"), `Dead letter ${id}`);
    at("letter-facts").replaceChildren();
    at("letter-texts").replaceChildren();
    tell("letter-told", "");
    const act = (/** @type {(ids: string[], place: string) => Promise<void>} */ what) => async () => {
      await what.call(this, [id], "letter-told");
      await this.#endIfGone(id);
    };
    const retry = make("button", { type: "button" }, "Retry");
    retry.addEventListener("click", act(this.#retry));
    at("letter-buttons").replaceChildren(retry, " ", asking("Drop…", "Remove it for good?", "Drop", act(this.#drop)));
    dialog().showModal();
    try {
      this.#show((await this.api.get(`/dead-letters/${id}`)).data);
    } catch (problem) {
      tell("letter-told", failed(problem), true);
    }
  }

  /** Nothing more can be done about a letter that is no longer there. @param {string} id */
  async #endIfGone(id) {
    const problem = await this.api.get(`/dead-letters/${id}`).then(() => null, (each) => each);
    if (problem?.status !== GONE) return;
    at("letter-buttons").replaceChildren();
    at("letter-close").focus();
  }

  /** @param {Letter} letter */
  #show(letter) {
    const { at: when, reason, refusal, subject, pool, strategy, symbol } = letter;
    const facts = Object.entries({ when: moment(Date.parse(when)), reason, refusal, subject, pool, strategy, symbol }).filter(([, value]) => value);
    at("letter-facts").replaceChildren(...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, /** @type {string} */ (value))]));
    const frame = `Frame${letter.raw_is_cut ? ", cut" : ""}${letter.raw_encoding === "base64" ? ", as base64" : ""}`;
    at("letter-texts").replaceChildren(
      ...text("Detail", letter.detail),
      ...text("Event", letter.event ? JSON.stringify(letter.event, null, 1) : ""),
      ...text(frame, letter.raw ?? ""),
    );
  }

  /** @param {string[]} ids @param {string} place where the result is told */
  async #retry(ids, place) {
    tell(place, "Sent in again; waiting for what becomes of it…");
    await this.#act(place, async () => {
      const { data } = await this.api.post("/dead-letters/retry", { ids, wait_s: WAIT_S, changed_by: this.api.name });
      if (data.length === 1) return VERDICTS[data[0].verdict](data[0].why);
      /** @type {Record<string, number>} */
      const verdicts = {};
      for (const { verdict } of data) verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
      return Object.entries(verdicts).map(([verdict, number]) => `${count(number)} ${verdict}`).join(", ");
    });
  }

  /** @param {string[]} ids @param {string} place */
  async #drop(ids, place) {
    await this.#act(place, async () => {
      const { data } = await this.api.post("/dead-letters/drop", { ids, changed_by: this.api.name });
      return `${count(data.dropped)} dropped`;
    });
  }

  /** @param {string} place @param {() => Promise<string>} act returns what to tell */
  async #act(place, act) {
    try {
      tell(place, await act());
      await this.load();
    } catch (problem) {
      tell(place, failed(problem), true);
    }
  }
}

/** A heading and a text as it is. @param {string} name @param {string} value */
const text = (name, value) => (value ? [make("h3", {}, name), make("pre", { tabindex: "0", role: "region", "aria-label": name }, value)] : []);

/** @param {unknown} problem */
function failed(problem) {
  if (!(problem instanceof Problem)) throw problem;
  return `Not done: ${problem.message}.`;
}

/** @param {string} id @param {string} what @param {boolean} wrong */
function tell(id, what, wrong = false) {
  say(at(id), what);
  at(id).className = wrong ? "told bad" : "told";
}

const dialog = () => /** @type {HTMLDialogElement} */ (at("letter"));
