// All that the page knows, as of the last message.

/** @typedef {{venue: string, symbol: string, mid: number | null, spread_bps: number | null, trade: number | null,
 *             events: number, rate: number, book_ms: number, trade_ms: number, time_ms: number, seen_ms: number,
 *             mark_price?: number, funding_rate?: number, candle?: number, candle_interval?: string, bid?: number,
 *             ask?: number, liquidations?: number, other_ms?: number}} Row */
/** @typedef {{id: string, strategy: string, symbol: string, action: string, price: number, confidence: number,
 *             event_time_ms: number, rationale: string, trigger: {venue: string, symbol: string}, at_ms: number}} Signal */
/** What is drawn of a signal that may be of long ago. @typedef {Pick<Signal, "id" | "strategy" | "action" | "price" | "event_time_ms">} OldSignal */
/** @typedef {{times_ms: number[], mid: (number | null)[], spread_bps: (number | null)[]}} History by the events' time */

export const POINTS = 600;
/** Before these, one in so long is kept of the chosen symbol, as ingest does. */
const PAST_STEP_MS = 10_000;
const PAST_POINTS = 2160;
export const SIGNALS = 500;
/** Of the chosen symbol. */
const MARKS = 500;
const STALE_MS = 10_000;
/** The time of a book that is so far from the last one's is that of another feed. */
const BACK_MS = 60_000;
const LEAP_MS = 86_400_000;
/** The weight of the newest second in a rate. */
const FRESH = 0.3;

export class State {
  constructor() {
    /** @type {Map<string, Row>} */
    this.rows = new Map();
    /** @type {Map<string, History>} */
    this.history = new Map();
    /** Of one symbol, what was before its history, and its signals, newest last. @type {{name: string, points: History, marks: OldSignal[]}} */
    this.past = { name: "", points: none(), marks: [] };
    /** @type {Signal[]} newest last */
    this.signals = [];
    /** @type {[number | null, number | null][]} */
    this.latencies = [];
    /** What is told whole each time. @type {any} */
    this.now = null;
    /** @type {any} */
    this.about = {};
    /** What the paper accounts earned and hold; null: not known. @type {any} */
    this.paper = null;
    /** The price after the signals of each strategy. @type {any[]} */
    this.returns = [];
    /** @type {Record<string, number>} a second */
    this.rates = {};
  }

  /** @param {any} told */
  hello(told) {
    this.about = { namespace: told.namespace, links: told.links, started_ms: told.started_ms, quiet_s: told.quiet_s, expected: told.expected, has_stream: told.has_stream, has_api: told.has_api, commands: told.commands };
    this.now = told;
    this.rates = {};
    this.latencies = told.latencies;
    this.signals = told.signals;
    this.paper = told.paper;
    this.returns = told.returns;
    this.rows = new Map(told.symbols.map((/** @type {any} */ row) => [key(row), { ...row, rate: row.events, seen_ms: newest_ms(row) }]));
    this.history = new Map(told.history.map((/** @type {any} */ each) => [key(each), each]));
  }

  /** Ask ingest for what was before the history of a symbol. @param {string} name @param {() => void} onLoad */
  async loadPast(name, onLoad) {
    this.past = { name, points: none(), marks: [] };
    if (!this.rows.has(name)) return;
    const answer = await fetch(`/history/${name.split(":").map(encodeURIComponent).join(":")}`).catch(() => null);
    if (!answer?.ok) return;
    const { marks, ...points } = await answer.json();
    if (this.past.name !== name) return;
    this.past = { name, points, marks: marks.map(mark) };
    // What came in meanwhile.
    this.#keepMarks(this.signals);
    onLoad();
  }

  /** @param {Signal[]} signals */
  #keepMarks(signals) {
    const { name, marks } = this.past;
    const known = new Set(marks.map((each) => each.id));
    this.past.marks = [...marks, ...signals.filter((each) => keyOf(each) === name && !known.has(each.id))].slice(-MARKS);
  }

  /** The signals of a symbol, newest last; of those of long ago only what is drawn. @param {string} name @returns {(Signal | OldSignal)[]} */
  marked(name) {
    const recent = this.signals.filter((signal) => keyOf(signal) === name);
    if (this.past.name !== name) return recent;
    const known = new Set(recent.map((signal) => signal.id));
    return [...this.past.marks.filter((signal) => !known.has(signal.id)), ...recent];
  }

  /** All that is known of a symbol's prices. @param {string} name @returns {History | undefined} */
  whole(name) {
    const history = this.history.get(name);
    if (!history || this.past.name !== name) return history;
    const { points } = this.past;
    const end = points.times_ms.findLastIndex((ms) => ms < history.times_ms[0]) + 1;
    const joined = (/** @type {keyof History} */ field) => /** @type {any} */ ([...points[field].slice(0, end), ...history[field]]);
    return { times_ms: joined("times_ms"), mid: joined("mid"), spread_bps: joined("spread_bps") };
  }

  /** @param {any} told */
  tick(told) {
    const seconds = Math.max(0.2, (told.at_ms - this.now.at_ms) / 1000);
    for (const name of Object.keys(told.totals)) {
      const now = (told.totals[name] - this.now.totals[name]) / seconds;
      this.rates[name] = name in this.rates ? blend(this.rates[name], now) : now;
    }
    this.now = told;
    for (const row of this.rows.values()) row.events = 0;
    /** @type {Set<string>} those that had a book */
    const fresh = new Set();
    for (const row of told.symbols) {
      const old = this.rows.get(key(row));
      if (row.book_ms !== (old?.book_ms ?? 0)) fresh.add(key(row));
      this.rows.set(key(row), { rate: old?.rate ?? 0, ...row, seen_ms: newest_ms(row) });
    }
    for (const row of this.rows.values()) row.rate = blend(row.rate, row.events / seconds);
    push(this.latencies, told.latency, POINTS);
    for (const [name, row] of this.rows) this.#draw(name, row, fresh.has(name), seconds * 1000);
  }

  /** As ingest does it, so that a chart looks the same after a reload. @param {string} name @param {Row} row @param {boolean} had_book @param {number} step_ms */
  #draw(name, row, had_book, step_ms) {
    if (!row.time_ms) return;
    let history = this.history.get(name) ?? none();
    const last_ms = history.times_ms.at(-1);
    let time_ms = row.time_ms;
    if (last_ms !== undefined) {
      if (!had_book) time_ms = last_ms + step_ms;
      else if (last_ms - time_ms > BACK_MS || time_ms - last_ms > LEAP_MS) {
        history = none();
        if (this.past.name === name) this.past.points = none();
      } else time_ms = Math.max(time_ms, last_ms);
    }
    this.history.set(name, history);
    if (this.past.name === name) this.#keep(history);
    const fresh = this.now.at_ms - row.book_ms < STALE_MS;
    push(history.times_ms, time_ms, POINTS);
    push(history.mid, fresh ? row.mid : null, POINTS);
    push(history.spread_bps, fresh ? row.spread_bps : null, POINTS);
  }

  /** Take into the past what leaves the history with the next point. @param {History} history */
  #keep(history) {
    const { points } = this.past;
    const first_ms = history.times_ms[0];
    if (history.times_ms.length < POINTS || first_ms - (points.times_ms.at(-1) ?? -Infinity) < PAST_STEP_MS) return;
    push(points.times_ms, first_ms, PAST_POINTS);
    push(points.mid, history.mid[0], PAST_POINTS);
    push(points.spread_bps, history.spread_bps[0], PAST_POINTS);
  }

  /** Give those that are new. @param {Signal[]} signals */
  add(signals) {
    const known = new Set(this.signals.map((signal) => signal.id));
    const fresh = signals.filter((signal) => !known.has(signal.id));
    this.signals = [...this.signals, ...fresh].slice(-SIGNALS);
    this.#keepMarks(fresh);
    return fresh;
  }

  /** The change of the mid price over the history. @param {string} name */
  change(name) {
    const first = this.history.get(name)?.mid.find((mid) => mid !== null);
    const last = this.rows.get(name)?.mid;
    return first && last ? last / first - 1 : null;
  }

  /** Counts of the ledger by their labels. @param {string} name @returns {[string, number][]} */
  counted(name) {
    return Object.entries(this.now?.labelled[name] ?? {});
  }
}

/** @returns {History} */
const none = () => ({ times_ms: [], mid: [], spread_bps: [] });

/** As ingest packs it. @param {[string, string, string, number, number]} packed @returns {OldSignal} */
const mark = ([id, strategy, action, price, event_time_ms]) => ({ id, strategy, action, price, event_time_ms });

/** When the last event came in. @param {{book_ms: number, trade_ms: number, other_ms?: number}} row */
const newest_ms = (row) => Math.max(row.book_ms, row.trade_ms, row.other_ms ?? 0);

/** @param {{venue: string, symbol: string}} of */
export const key = (of) => `${of.venue}:${of.symbol}`;

/** The way back. A symbol may hold colons, a venue none; a name without any is a symbol's. @param {string} name */
export const named = (name) => {
  const end = name.indexOf(":");
  return { venue: name.slice(0, Math.max(end, 0)), symbol: name.slice(end + 1) };
};

/** Where a signal belongs in the table and the chart. @param {Signal} signal */
export const keyOf = (signal) => `${signal.trigger.venue}:${signal.symbol}`;

/** @param {number} old @param {number} now */
const blend = (old, now) => (old === 0 && now === 0 ? 0 : (1 - FRESH) * old + FRESH * now);

/** @template T @param {T[]} list @param {T} value @param {number} most */
function push(list, value, most) {
  list.push(value);
  if (list.length > most) list.shift();
}
