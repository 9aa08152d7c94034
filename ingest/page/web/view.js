// Which part of time the chart shows: the newest so many seconds, or a part that somebody chose.

/** A shorter part can't be chosen. */
const LEAST_S = 2;
/** At first, a chart that has just begun does not fill its width. */
const BEGIN_S = 60;
export const RECENT_S = 600;

export class View {
  /** @param {() => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    this.span_s = RECENT_S;
    /** @type {[number, number] | null} null: it follows the newest */
    this.chosen = null;
    /** The first and the last second that there are. @type {[number, number]} */
    this.ends = [0, 0];
  }

  /** Follow the newest. @param {number} span_s */
  follow(span_s = this.span_s) {
    this.span_s = span_s;
    this.chosen = null;
    this.onChange();
  }

  /** What there is by now. @param {number} first @param {number} last */
  grow(first, last) {
    this.ends = [first, last];
    if (this.chosen && (this.chosen[1] < first || this.chosen[0] > last)) this.chosen = null;
  }

  /** @returns {[number, number]} */
  get shown() {
    const [first, last] = this.ends;
    return this.chosen ?? [Math.min(Math.max(first, last - this.span_s), last - BEGIN_S), last];
  }

  /** @param {number} from @param {number} to */
  show(from, to) {
    const [first, last] = this.ends;
    const width = Math.min(Math.max(to - from, LEAST_S), Math.max(last - first, BEGIN_S));
    const begin = Math.min(Math.max(from, Math.min(first, last - width)), last - width);
    this.chosen = [begin, begin + width];
    this.onChange();
  }

  /** Make what is shown so many times as long, around a part of its width. @param {number} factor @param {number} around */
  zoom(factor, around = 0.5) {
    const [from, to] = this.shown;
    const fixed = from + around * (to - from);
    this.show(fixed - factor * (fixed - from), fixed + factor * (to - fixed));
  }

  /** Go on by a part of what is shown. @param {number} part below 0: back */
  pan(part) {
    const [from, to] = this.shown;
    const by = part * (to - from);
    this.show(from + by, to + by);
  }
}
