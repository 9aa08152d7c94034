// A button that asks before it does something, in its own place.

import { make } from "../dom.js";

/**
 * @param {string} label of the button
 * @param {string} question
 * @param {string} yes what to press then
 * @param {() => Promise<void>} act
 */
export function asking(label, question, yes, act) {
  const button = make("button", { type: "button" }, label);
  const sure = make("button", { type: "button", class: "grave" }, yes);
  const cancel = make("button", { type: "button" }, "Cancel");
  const asked = make("span", { class: "asked", role: "group", "aria-label": question }, question, " ", sure, " ", cancel);
  const whole = make("span", {}, button, asked);
  asked.hidden = true;

  /** @param {boolean} open */
  function show(open) {
    button.hidden = open;
    asked.hidden = !open;
    (open ? sure : button).focus();
  }

  button.addEventListener("click", () => show(true));
  cancel.addEventListener("click", () => show(false));
  sure.addEventListener("click", async () => {
    show(false);
    await act();
  });
  return whole;
}
