// Keys, wheel and fingers on the chart. Dragging with a mouse is the chart's own: it chooses a part.

const STEP = 0.25;
const ZOOM = 2;

/** @typedef {import("./view.js").View} View */

/** @param {HTMLElement} chart @param {View} view */
export function keys(chart, view) {
  /** @type {Record<string, () => void>} */
  const acts = {
    ArrowLeft: () => view.pan(-STEP),
    ArrowRight: () => view.pan(STEP),
    "+": () => view.zoom(1 / ZOOM),
    "-": () => view.zoom(ZOOM),
    Home: () => view.show(view.ends[0], view.ends[0] + view.shown[1] - view.shown[0]),
    End: () => view.follow(),
  };
  chart.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in acts)) return;
    event.preventDefault();
    acts[event.key]();
  });
}

/** With Ctrl it zooms (so do two fingers on a touchpad), with Shift it goes on; alone it scrolls the page. @param {HTMLElement} over the drawn part @param {View} view */
export function wheel(over, view) {
  over.addEventListener(
    "wheel",
    (event) => {
      const sideways = event.deltaX || (event.shiftKey ? event.deltaY : 0);
      if (!event.ctrlKey && !sideways) return;
      event.preventDefault();
      const { left, width } = over.getBoundingClientRect();
      if (event.ctrlKey) view.zoom(event.deltaY > 0 ? 1.25 : 0.8, (event.clientX - left) / width);
      else view.pan(sideways / width);
    },
    { passive: false },
  );
}

/** One finger pulls the time along, two stretch it. @param {HTMLElement} over @param {View} view */
export function touch(over, view) {
  /** Where each finger is, as a part of the width. @type {Map<number, number>} */
  const fingers = new Map();
  /** The seconds that were under them. @type {number[]} */
  let under = [];

  const part = (/** @type {PointerEvent} */ event) => (event.clientX - over.getBoundingClientRect().left) / over.clientWidth;

  function hold() {
    const [from, to] = view.shown;
    under = [...fingers.values()].map((x) => from + x * (to - from));
  }

  over.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") return;
    fingers.set(event.pointerId, part(event));
    hold();
  });
  over.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    fingers.set(event.pointerId, part(event));
    const [from, to] = view.shown;
    const [x, other] = [...fingers.values()];
    const width = other === undefined || Math.abs(other - x) < 0.02 ? to - from : (under[1] - under[0]) / (other - x);
    if (width > 0) view.show(under[0] - x * width, under[0] + (1 - x) * width);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    over.addEventListener(name, (event) => {
      fingers.delete(/** @type {PointerEvent} */ (event).pointerId);
      hold();
    });
  }
}
