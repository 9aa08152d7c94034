"""Incoming events by stream: the age of the newest one, and what is wrong with the feed. Pure: time is an argument.

Called for every event, `observe` only notes; once a second `tick` makes something of it. Memory is bounded.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from tasks.events import KINDS, AnyEvent, Kind, Kline, Venue
from tasks.protocol.findings import Finding, age, named_some
from tasks.protocol.records import NEW_GENERATION_MS

#: (venue, symbol, kind).
StreamKey = tuple[Venue, str, Kind]

#: Of more, those that were seen last are kept.
MAX_STREAMS = 20_000
#: A stream that has been silent for so long is forgotten, or for two more events that are expected of it; and one of
#: which nobody knows when something comes.
FORGET_S, FORGET_RARE_S = 3_600.0, 86_400.0
#: So many events that are expected at a known time may be missing before their stream is silent.
MISSING = 2
#: A stream is silent when its last event is that many times older than its usual pause; one that came for fewer
#: seconds has no usual pause yet.
PAUSES = 10
KNOWN_TICKS = 30
#: What an earlier pause counts against the one after it, and a second of repeats against the one after it.
_FADING_PAUSE = 0.98
_FADING_S = 0.9
#: A stream repeats itself when more than this part of its events has been repeats for so long, or for as long as makes
#: a feed quiet, if that is shorter; it ends below the other part.
REPEATS_SHARE, REPEATS_OVER_SHARE = 0.5, 0.4
REPEATS_S = 10.0
#: Kinds of which nothing may come for minutes, though all is well.
_SELDOM: frozenset[Kind] = frozenset({"kline", "liquidation"})
#: So many streams are given with their ages, the oldest ones.
STREAMS_TOLD = 20


class FeedStream(msgspec.Struct):
    """State of one stream of events: (venue, symbol, kind)."""

    #: The newest.
    event: AnyEvent
    #: Whether some pool takes them.
    wanted: bool
    #: How long it is between two of its events, at least, in seconds: 0 of most kinds, a candle's interval, or infinite.
    expected_s: float = math.inf
    #: Since the last tick: events, and those of them whose exchange id did not rise.
    count: int = 0
    repeats: int = 0
    #: The highest exchange id, and its event's time.
    top_id: int = -1
    top_ms: int = 0
    #: At the last tick with events.
    seen_s: float = 0.0
    #: How many ticks had events, and how long it usually is between two of them.
    ticks: int = 0
    pause_s: float = 0.0
    #: Fading counts, and since when most of them have been repeats.
    recent: float = 0.0
    recent_repeats: float = 0.0
    repeating_since_s: float | None = None


class StreamActivity(NamedTuple):
    """Events of one stream since the last tick."""

    key: StreamKey
    #: The newest of its events, and how many there were.
    event: AnyEvent
    events: int
    #: Whether some pool takes them.
    wanted: bool


def name_of(key: StreamKey) -> str:
    """Return a stream's name: spot:BTCUSDT:depth."""
    return ":".join(key)


class FeedWatch:
    """Freshness and faults of every stream that has had events."""

    def __init__(
        self,
        wants: Callable[[str, Kind], bool] = lambda _symbol, _kind: True,
        listening: Callable[[], bool] = lambda: True,
        quiet_s: float = 30.0,
        expecting: Callable[[], bool] = lambda: False,
        kinds: Collection[Kind] = KINDS,
    ) -> None:
        """`wants` returns whether some pool takes a symbol's events of a kind, `listening` whether events can come now.

        `expecting` returns whether there were events before this process: then the feed is as old as the listening.
        `kinds`: what pools take. Before the first event, only a feed of candles or liquidations has all the time it likes.
        """
        self._wants, self._listening, self._quiet_s = wants, listening, quiet_s
        self._expecting = expecting
        #: How long the newest event may be of before: what its streams have in common, beyond `quiet_s`.
        self._first_patience_s = math.inf if _SELDOM.issuperset(kinds) else 0.0
        self._repeats_s = min(REPEATS_S, quiet_s)
        self._streams: dict[StreamKey, FeedStream] = {}
        #: At the last tick with events, or when they were first expected; None: there was none yet.
        self.newest_s: float | None = None
        #: Since when events could come; None: they can't.
        self._listening_s: float | None = None
        self._silent: list[str] = []
        self._repeating: list[str] = []

    def observe(self, event: AnyEvent) -> None:
        """Note an event. Called for each, so this is all that is done here."""
        key = event.venue, event.symbol, event.kind
        try:
            stream = self._streams[key]
        except KeyError:
            stream = self._streams[key] = FeedStream(event, self._wants(event.symbol, event.kind))
        # Without ids, several events may be of one time.
        rises = event.id > stream.top_id or event.id == stream.top_id < 0
        if rises or event.time_ms > stream.top_ms + NEW_GENERATION_MS:
            stream.top_id, stream.top_ms = event.id, event.time_ms
        else:
            stream.repeats += 1
        stream.event = event
        stream.count += 1

    def restart(self) -> None:
        """Take what comes from now on for new: a stream is read again from further back."""
        for stream in self._streams.values():
            stream.top_id, stream.top_ms = -1, 0

    def tick(self, now_s: float) -> list[StreamActivity]:
        """Return the streams that had events since the last tick."""
        if not self._listening():
            self._listening_s = None
        elif self._listening_s is None:
            self._listening_s = now_s
        if self.newest_s is None and self._expecting():
            self.newest_s = self._listening_s
        active: list[StreamActivity] = []
        silent, repeating, forgotten = [], [], []
        for key, stream in self._streams.items():
            if stream.count:
                active.append(StreamActivity(key, stream.event, stream.count, stream.wanted))
                _move_on(stream, now_s)
            elif (idle_s := now_s - stream.seen_s) > _forget_s(stream):
                forgotten.append(key)
            elif idle_s > self._quiet_s and self._is_silent(stream, now_s):
                silent.append(name_of(key))
            since_s = stream.repeating_since_s
            if since_s is not None and now_s - since_s >= self._repeats_s > now_s - stream.seen_s:
                repeating.append(name_of(key))
        self._silent, self._repeating = silent, repeating
        self.newest_s = now_s if active else self.newest_s
        self._forget(forgotten)
        return active

    def _forget(self, keys: Iterable[StreamKey]) -> None:
        for key in keys:
            del self._streams[key]
        if len(self._streams) > MAX_STREAMS:
            latest = sorted(self._streams.items(), key=lambda item: item[1].seen_s, reverse=True)
            self._streams = dict(latest[:MAX_STREAMS])

    def _is_silent(self, stream: FeedStream, now_s: float) -> bool:
        limit_s = max(self._quiet_s + MISSING * stream.expected_s, PAUSES * stream.pause_s)
        return stream.ticks >= KNOWN_TICKS and self._quiet_for_s(stream.seen_s, now_s) > limit_s

    def _quiet_for_s(self, since_s: float, now_s: float) -> float:
        """Return for how long nothing has come that could have come."""
        return 0.0 if self._listening_s is None else now_s - max(since_s, self._listening_s)

    @property
    def patience_s(self) -> float:
        """How long the feed may be quiet beyond `quiet_s`: by its stream of which the next event is expected first."""
        expected_s = min((stream.expected_s for stream in self._streams.values()), default=None)
        return self._first_patience_s if expected_s is None else MISSING * expected_s

    # What others ask

    def age_s(self, now_s: float) -> float | None:
        """Return the age of the newest event, to a second; None: there was none yet."""
        return None if self.newest_s is None else max(0.0, now_s - self.newest_s)

    def ages_by_kind(self, now_s: float) -> dict[tuple[Venue, Kind], float]:
        """Return the age of the newest event of each venue and kind that is not forgotten."""
        ages: dict[tuple[Venue, Kind], float] = {}
        for (venue, _, kind), stream in self._streams.items():
            age_s = max(0.0, now_s - stream.seen_s) if stream.ticks else 0.0
            ages[venue, kind] = min(ages.get((venue, kind), age_s), age_s)
        return ages

    def summary(self, now_s: float) -> dict[str, Any]:
        """Return the facts for /ready: the newest event's age, the number of streams, and the ages of the oldest."""
        age_s = self.age_s(now_s)
        oldest = sorted(self._streams.items(), key=lambda item: item[1].seen_s)[:STREAMS_TOLD]
        return {
            "age_s": None if age_s is None else round(age_s, 1),
            "streams": len(self._streams),
            "oldest": {name_of(key): round(now_s - each.seen_s, 1) for key, each in oldest if each.ticks},
        }

    def findings(self, now_s: float) -> Iterator[Finding]:
        """Yield how old the newest event is, and what is wrong with the feed."""
        age_s = self.age_s(now_s)
        if age_s is None:
            yield Finding("ok", "feed", "no event yet")
        elif self.newest_s is not None and (quiet_s := self._quiet_for_s(self.newest_s, now_s)) > (
            limit_s := self._quiet_s + self.patience_s
        ):
            says = f"no event for more than {age(_step(quiet_s, limit_s))}"
            do = "see whether the feed and the exchange run, and whether NATS_SUBJECTS is what the feed publishes to"
            yield Finding("warning", "feed", says, do, "feed_quiet")
        else:
            yield Finding("ok", "feed", f"newest event {age(age_s)} ago, streams: {len(self._streams)}")
            if self._silent:
                says = f"silent, while others go on: {named_some(self._silent)}"
                do = "see what its feed says; what was taken out of the feed is forgotten after an hour"
                yield Finding("warning", "feed streams", says, do, "streams_silent")
        if self._repeating:
            says = f"most events are repeats, which are left out: {named_some(self._repeating)}"
            do = "see whether two feeds publish the same, or one names the events of several symbols after one"
            yield Finding("warning", "feed repeats", says, do, "feed_repeats")


def _move_on(stream: FeedStream, now_s: float) -> None:
    """Take a second's events into what is kept of them."""
    stream.expected_s = min(stream.expected_s, _expected_s(stream.event))
    if stream.ticks:
        stream.pause_s = max(now_s - stream.seen_s, _FADING_PAUSE * stream.pause_s)
    stream.seen_s = now_s
    stream.ticks += 1
    stream.recent = _FADING_S * stream.recent + stream.count
    stream.recent_repeats = _FADING_S * stream.recent_repeats + stream.repeats
    stream.count = stream.repeats = 0
    share = stream.recent_repeats / stream.recent
    if stream.repeating_since_s is None:
        stream.repeating_since_s = now_s if share > REPEATS_SHARE else None
    elif share < REPEATS_OVER_SHARE:
        stream.repeating_since_s = None


def _expected_s(event: AnyEvent) -> float:
    """Return how long it is until the next event of a stream at least, in seconds; infinite: nobody knows."""
    if isinstance(event, Kline):
        return (event.close_ms + 1 - event.open_ms) / 1000
    return math.inf if event.kind in _SELDOM else 0.0


def _forget_s(stream: FeedStream) -> float:
    return FORGET_RARE_S if math.isinf(stream.expected_s) else FORGET_S + MISSING * stream.expected_s


def _step(age_s: float, least_s: float) -> float:
    """Return the last of some ages that was reached, so that words do not change every second."""
    steps = (least_s, 60, 120, 300, 600, 1_800, *(hours * 3_600 for hours in (1, 2, 6, 12, 24, 48, 168)))
    return max(step for step in steps if step <= age_s)
