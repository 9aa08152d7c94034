// Signing in with a token of the operators' API, and out. Without the API nothing of it is shown.

import { at, say } from "../dom.js";

const SIGNED_IN = "operator";

export class SignIn {
  /** @param {import("./api.js").Api} api */
  constructor(api) {
    this.api = api;
    at("sign").addEventListener("click", () => (api.signed_in ? api.signOut() : this.#ask("")));
    at("sign-in-cancel").addEventListener("click", () => dialog().close());
    at("sign-in-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    dialog().addEventListener("close", () => (field("token").value = ""));
    this.draw(null);
  }

  /** @param {import("./api.js").Problem | null} problem that ended it */
  draw(problem) {
    document.body.classList.toggle(SIGNED_IN, this.api.signed_in);
    say(at("sign"), this.api.signed_in ? "Sign out" : "Sign in");
    say(at("read-only"), this.api.signed_in ? "" : "Read-only.");
    if (problem) this.#ask(`Signed out: ${problem.message}.`);
  }

  /** @param {string} why */
  #ask(why) {
    say(at("sign-in-problem"), why);
    field("operator").value = this.api.name;
    for (const open of document.querySelectorAll("dialog[open]")) /** @type {HTMLDialogElement} */ (open).close();
    dialog().showModal();
    field("token").focus();
  }

  async #submit() {
    const button = /** @type {HTMLButtonElement} */ (at("sign-in-form").querySelector("[type=submit]"));
    button.disabled = true;
    try {
      await this.api.signIn(field("token").value.trim(), field("operator").value.trim());
      dialog().close();
    } catch (problem) {
      say(at("sign-in-problem"), `Not signed in: ${/** @type {Error} */ (problem).message}.`);
      field("token").select();
    } finally {
      button.disabled = false;
    }
  }
}

const dialog = () => /** @type {HTMLDialogElement} */ (at("sign-in"));

/** @param {string} id */
const field = (id) => /** @type {HTMLInputElement} */ (at(id));
