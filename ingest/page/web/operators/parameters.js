// The form of what can be set of a strategy, its parameters and the values of its gate and its paper account: made from
// their schema, checked by ingest, and applied only after the difference was seen.

import { at, breakable, make, say } from "../dom.js";
import { number } from "../format.js";

/** @typedef {{name: string, type: string, description: string, default: any, min: number | null, max: number | null,
 *             exclusive: string[], allowed_values: any[] | null}} Parameter */
/** @typedef {{key: string, old: any, new: any}} Difference */
/** Values that stand together; those without a title are always in sight. @typedef {{title: string, note: string, schema: Parameter[]}} Group */

export class Parameters {
  /**
   * @param {(values: Record<string, any>) => Promise<{differences: Difference[], notes: string[]} | null>} check
   * @param {(values: Record<string, any>) => Promise<void>} apply
   */
  constructor(check, apply) {
    this.check = check;
    this.apply = apply;
    /** @type {Parameter[]} */
    this.schema = [];
    /** @type {Record<string, any>} */
    this.current = {};
    at("parameters").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    at("parameters").addEventListener("input", () => at("parameters-check").replaceChildren());
  }

  /** @param {Group[]} groups @param {Record<string, any>} current @param {boolean} keep whether what was typed stays */
  draw(groups, current, keep) {
    const typed = keep ? this.#changed() : {};
    const open = [...at("parameters").querySelectorAll("details[open] summary")].map((each) => each.textContent);
    this.schema = groups.flatMap((group) => group.schema);
    this.current = { ...Object.fromEntries(this.schema.map((each) => [each.name, each.default])), ...current };
    const value = (/** @type {string} */ name) => (name in typed ? typed[name] : this.current[name]);
    const parts = groups.flatMap(({ title, note, schema }) => {
      const rows = [...(note ? [make("p", { class: "quiet note" }, note)] : []), ...schema.map((each) => row(each, value(each.name)))];
      if (!title) return rows;
      const group = /** @type {HTMLDetailsElement} */ (make("details", {}, make("summary", {}, title), ...rows));
      group.open = open.includes(title) || schema.some(({ name }) => name in current || name in typed);
      return [group];
    });
    at("parameters").replaceChildren(...parts, make("button", { type: "submit" }, "Check the change"));
    at("parameters-check").replaceChildren();
  }

  /** Show what is wrong beside each field. @param {import("./api.js").Fault[]} faults */
  blame(faults) {
    for (const { parameter, message } of faults) {
      const field = at("parameters").querySelector(`[name="${CSS.escape(parameter)}"]`);
      field?.setAttribute("aria-invalid", "true");
      field?.closest("details")?.setAttribute("open", "");
      const place = field?.closest(".parameter")?.querySelector(".fault");
      if (place) say(place, message);
    }
  }

  /** What differs from what is in force; null is the default. */
  #changed() {
    /** @type {Record<string, any>} */
    const values = {};
    for (const each of this.schema) {
      const value = read(each);
      const now = this.current[each.name];
      const same = JSON.stringify(value ?? each.default) === JSON.stringify(now);
      if (!same) values[each.name] = value;
    }
    return values;
  }

  async #submit() {
    for (const field of at("parameters").querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
    for (const place of at("parameters").querySelectorAll(".fault")) say(place, "");
    const values = this.#changed();
    if (!Object.keys(values).length) {
      at("parameters-check").replaceChildren(make("p", { class: "quiet" }, "Nothing differs from what is in force."));
      return;
    }
    const found = await this.check(values);
    // Of what was typed meanwhile it says nothing.
    if (!found || JSON.stringify(this.#changed()) !== JSON.stringify(values)) return;
    const apply = make("button", { type: "button", class: "grave" }, "Apply");
    apply.addEventListener("click", () => this.apply(values));
    const notes = found.notes.map((note) => make("p", { class: "warn" }, note));
    at("parameters-check").replaceChildren(make("p", {}, "The values fit. This would change:"), differences(found.differences, "Difference"), ...notes, apply);
    apply.focus();
  }
}

/** A table of what changes. @param {Difference[]} all @param {string} name */
export function differences(all, name) {
  const lines = all.map((each) => make("tr", {}, make("th", { scope: "row" }, ...breakable(each.key)), make("td", {}, written(each.old)), make("td", {}, written(each.new))));
  const heads = ["Key", "Old", "New"].map((head) => make("th", { scope: "col" }, head));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name }, make("table", { class: "difference" }, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...lines)));
}

/** @param {any} value */
const written = (value) => (value === null ? "default" : typeof value === "string" ? value : JSON.stringify(value));

/** @param {Parameter} of @param {any} value */
function row(of, value) {
  const id = `parameter-${of.name}`;
  const field = input(of, id, value);
  field.setAttribute("aria-describedby", `${id}-hint`);
  const range = bounds(of);
  const hint = [of.description.replace(/\.$/, ""), range, of.default === null ? "" : `default ${typeof of.default === "number" ? number(of.default) : written(of.default)}`].filter(Boolean).join("; ");
  return make("div", { class: "parameter" }, make("label", { for: id }, ...breakable(of.name)), field, make("p", { id: `${id}-hint` }, make("span", { class: "fault" }), " ", make("span", { class: "quiet" }, hint)));
}

/** @param {Parameter} of @param {string} id @param {any} value */
function input(of, id, value) {
  const choices = of.allowed_values ?? (of.type === "bool" ? [...(of.default === null ? [null] : []), true, false] : null);
  if (choices) {
    const select = /** @type {HTMLSelectElement} */ (make("select", { id, name: of.name }, ...choices.map((each) => make("option", { value: JSON.stringify(each) }, each === null ? "not set" : String(each)))));
    select.value = JSON.stringify(value);
    return select;
  }
  const is_number = of.type === "int" || of.type === "float";
  const field = /** @type {HTMLInputElement} */ (make("input", { id, name: of.name, autocomplete: "off", ...(is_number ? { inputmode: "decimal" } : {}) }));
  field.value = value === null ? "" : typeof value === "string" ? value : JSON.stringify(value);
  return field;
}

/** @param {Parameter} of */
function bounds(of) {
  const [above, below] = ["min", "max"].map((end) => of.exclusive.includes(end));
  const from = of.min === null ? "" : `${above ? "above" : "from"} ${of.min}`;
  const to = of.max === null ? "" : `${below ? "below" : "to"} ${of.max}`;
  return [from, to].filter(Boolean).join(" ");
}

/** What stands in a field, as JSON has it; what is no number goes to ingest as it is, which says so. @param {Parameter} of */
function read(of) {
  const field = /** @type {HTMLInputElement} */ (at(`parameter-${of.name}`));
  const text = field.value.trim();
  if (text === "") return null;
  if (of.type === "str" && !of.allowed_values) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
