"""Incoming events by stream: the age of the newest one, and what is wrong with the feed. Pure: time is an argument.

Called for every event, `observe` only notes; once a second `tick` makes something of it. Memory is bounded.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, NamedTuple

from ingest.monitoring.feed_stream import MISSING, MUTED_AFTER, MUTED_EVENTS, REPEATS_S, SELDOM, FeedStream
from tasks.events import KINDS, AnyEvent, Kind, Venue
from tasks.protocol.findings import Finding, age, named_some
from tasks.protocol.records import Record

#: (venue, symbol, kind).
StreamKey = tuple[Venue, str, Kind]

#: Of more, those that were seen last are kept.
MAX_STREAMS = 20_000
#: A stream is silent when its last event is that many times older than its usual pause; one that came for fewer
#: seconds has no usual pause yet.
PAUSES = 10
KNOWN_TICKS = 30
#: So many streams are given with their ages, the oldest ones.
STREAMS_TOLD = 20


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
        refuse: Callable[[str, str], None] = lambda _reason, _detail: None,
    ) -> None:
        """`wants` returns whether some pool takes a symbol's events of a kind, `listening` whether events can come now.

        `expecting` returns whether there were events before this process: then the feed is as old as the listening.
        `refuse` is told the reason and details of an event that workers refuse for its id. `kinds`: what pools take. Before the first event, only a feed of candles or liquidations has all the time it likes.
        """
        self._wants, self._listening, self._quiet_s = wants, listening, quiet_s
        self._expecting, self._refuse = expecting, refuse
        #: How long the newest event may be of before: what its streams have in common, beyond `quiet_s`.
        self._first_patience_s = math.inf if SELDOM.issuperset(kinds) else 0.0
        self._repeats_s = min(REPEATS_S, quiet_s)
        self._streams: dict[StreamKey, FeedStream] = {}
        #: At the last tick with events, or when they were first expected; None: there was none yet.
        self.newest_s: float | None = None
        #: Since when events could come; None: they can't.
        self._listening_s: float | None = None
        self._silent: list[str] = []
        self._repeating: list[str] = []
        self._muted: list[str] = []

    def observe(self, event: AnyEvent) -> None:
        """Note an event. Called for each, so this is all that is done here."""
        key = event.venue, event.symbol, event.kind
        try:
            stream = self._streams[key]
        except KeyError:
            stream = self._streams[key] = FeedStream(event, self._wants(event.symbol, event.kind))
        stream.take(event, self._refuse)

    def restart(self) -> None:
        """Take what comes from now on for new: a stream is read again from further back."""
        for stream in self._streams.values():
            stream.record, stream.repeats_in_row, stream.compared = Record(), 0, True

    def doubtful(self) -> list[StreamKey]:
        """Return the streams of which the ledger's records should be compared: new ones, and those that repeat."""
        return [key for key, stream in self._streams.items() if stream.wanted and stream.is_doubtful]

    def compare(self, key: StreamKey, records: Iterable[Record]) -> None:
        """Take over where a stream stands from the ledger's records of it, where they say other than what was seen.

        So a stream that the ledger has muted is found after a restart as well, and one that was reset is well again.
        """
        stream = self._streams.get(key)
        if stream is None:
            return
        ahead = max(records, key=lambda record: record.id, default=None)
        if ahead is not None and (stream.compared or ahead.is_ahead_of(stream.record)):
            stream.record = ahead
        stream.compared = True

    def tick(self, now_s: float) -> list[StreamActivity]:
        """Return the streams that had events since the last tick."""
        if not self._listening():
            self._listening_s = None
        elif self._listening_s is None:
            self._listening_s = now_s
        if self.newest_s is None and self._expecting():
            self.newest_s = self._listening_s
        active: list[StreamActivity] = []
        silent, repeating, muted, forgotten = [], [], [], []
        for key, stream in self._streams.items():
            if stream.count:
                active.append(StreamActivity(key, stream.event, stream.count, stream.wanted))
                stream.move_on(now_s)
            elif (idle_s := now_s - stream.seen_s) > stream.forget_s:
                forgotten.append(key)
            elif idle_s > self._quiet_s and self._is_silent(stream, now_s):
                silent.append(name_of(key))
            since_s = stream.repeating_since_s
            if since_s is not None and now_s - since_s >= self._repeats_s > now_s - stream.seen_s:
                repeating.append(name_of(key))
                if stream.repeats_in_row >= MUTED_EVENTS and now_s - stream.new_s >= MUTED_AFTER * self._repeats_s:
                    muted.append(name_of(key))
        self._silent, self._repeating, self._muted = silent, repeating, muted
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

    def findings(self, now_s: float, *, others_go_on: bool = False) -> Iterator[Finding]:
        """Yield how old the newest event is, and what is wrong with the feed.

        `others_go_on`: other shards, which read other symbols, get events; so it is not the feed that is quiet.
        """
        age_s = self.age_s(now_s)
        if age_s is None:
            yield Finding("ok", "feed", "no event yet")
        elif (
            not others_go_on
            and self.newest_s is not None
            and (quiet_s := self._quiet_for_s(self.newest_s, now_s)) > (limit_s := self._quiet_s + self.patience_s)
        ):
            says = f"no event for more than {age(_step(quiet_s, limit_s))}"
            do = f"see whether the feed and the exchange run, and whether NATS_SUBJECTS is what the feed publishes to: {_LOOK}"
            yield Finding("warning", "feed", says, do, "feed_quiet")
        else:
            yield Finding("ok", "feed", f"newest event {age(age_s)} ago, streams: {len(self._streams)}")
            if self._silent:
                says = f"silent, while others go on: {named_some(self._silent)}"
                do = f"see what its feed says; {_LOOK}; what was taken out of the feed is forgotten after an hour"
                yield Finding("warning", "feed streams", says, do, "streams_silent")
        if self._repeating:
            says = f"most events are repeats, which are left out: {named_some(self._repeating)}"
            do = (
                f"see whether two feeds publish the same, or one names the events of several symbols after one: {_LOOK}"
            )
            yield Finding("warning", "feed repeats", says, do, "feed_repeats")
        if self._muted:
            says = f"nothing but repeats, so no strategy gets an event: {named_some(self._muted)}"
            yield Finding("warning", "muted streams", says, _UNMUTE, "stream_muted")


_LOOK = "`./run ingest record look.jsonl --seconds 10` writes down what comes"
_UNMUTE = (
    "see whether the feed publishes old frames; if its ids are right, a wrong one came before: `./run tasks state reset "
    "--records --symbol NAME`"
)


def _step(age_s: float, least_s: float) -> float:
    """Return the last of some ages that was reached, so that words do not change every second."""
    steps = (least_s, 60, 120, 300, 600, 1_800, *(hours * 3_600 for hours in (1, 2, 6, 12, 24, 48, 168)))
    return max(step for step in steps if step <= age_s)
