// The stream of events. The browser comes back by itself after an interruption; after a refusal, or when the line is
// dead without anybody having said so, it needs a new stream.

/** Without a message for so long the numbers are old, even if the connection stands. */
const SILENT_MS = 4000;
const DEAD_MS = 15_000;
const RETRY_MS = 3000;

/**
 * @param {Record<string, (told: any) => void>} listeners by the event's name
 * @param {(since_ms: number | null) => void} onAway takes the time of the last message while it is unavailable, else null
 */
export function connect(listeners, onAway) {
  let last_ms = Date.now();
  let opened_ms = 0;
  /** @type {EventSource} */
  let source;

  function open() {
    source?.close();
    opened_ms = Date.now();
    source = new EventSource("/events");
    for (const [name, listener] of Object.entries(listeners)) {
      source.addEventListener(name, (event) => {
        last_ms = Date.now();
        onAway(null);
        listener(JSON.parse(event.data));
      });
    }
    source.addEventListener("error", () => onAway(last_ms));
  }

  function look() {
    const now_ms = Date.now();
    if (now_ms - last_ms < SILENT_MS) return;
    onAway(last_ms);
    const refused = source.readyState === EventSource.CLOSED && now_ms - opened_ms > RETRY_MS;
    if (refused || now_ms - Math.max(last_ms, opened_ms) > DEAD_MS) open();
  }

  open();
  setInterval(look, 1000);
}
