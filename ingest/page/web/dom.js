// Elements. Texts come from outside, so they are only ever set as text, never parsed as HTML.

/** @param {string} id @returns {HTMLElement} */
export function at(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {...(Node | string)} children
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Set a text, and touch the page only if it is another one. @param {Element} element @param {string} text */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A name that may break behind its dots and underscores. @param {string} text */
export const breakable = (text) => text.split(/(?<=[._])/).flatMap((part, number) => (number ? [make("wbr"), part] : [part]));

/** The colour of a custom property as a canvas needs it. @param {string} name */
export function colour(name) {
  const probe = at("chart");
  probe.style.color = `var(${name})`;
  const found = getComputedStyle(probe).color;
  probe.style.color = "";
  return found;
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * Draw lines into a small picture, all on one scale from 0.
 * @param {(number | null)[][]} lines
 */
export function sparkline(lines) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 100 24");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const top = Math.max(1e-9, ...lines.flat().map((value) => value ?? 0));
  const begin = Math.max(0, lines[0].findIndex((value) => value !== null));
  for (const line of lines.map((all) => all.slice(begin))) {
    const step = 100 / Math.max(1, line.length - 1);
    const points = line.map((value, index) => (value === null ? "" : `${(index * step).toFixed(2)},${(23 - (22 * value) / top).toFixed(2)}`));
    const drawn = document.createElementNS(SVG, "polyline");
    drawn.setAttribute("points", points.filter(Boolean).join(" "));
    svg.append(drawn);
  }
  return svg;
}
