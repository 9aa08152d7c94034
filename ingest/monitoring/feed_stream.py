"""One stream of events, as ingest sees it come in. Pure: time is an argument."""

import math
from collections.abc import Callable

import msgspec

from tasks.events import AnyEvent, Kind, Kline
from tasks.protocol.dead_letters import IMPLAUSIBLE_ID, jumped
from tasks.protocol.records import Record, Verdict

#: A stream that has been silent for so long is forgotten, or for two more events that are expected of it; and one of
#: which nobody knows when something comes.
FORGET_S, FORGET_RARE_S = 3_600.0, 86_400.0
#: So many events that are expected at a known time may be missing before their stream is silent.
MISSING = 2
#: What an earlier pause counts against the one after it, and a second of repeats against the one after it.
_FADING_PAUSE = 0.98
_FADING_S = 0.9
#: A stream repeats itself when more than this part of its events has been repeats for so long, or for as long as makes
#: a feed quiet, if that is shorter; it ends below the other part.
REPEATS_SHARE, REPEATS_OVER_SHARE = 0.5, 0.4
REPEATS_S = 10.0
#: A stream is muted after so many events of which none was new, within three times as long.
MUTED_EVENTS = 20
MUTED_AFTER = 3
#: Kinds of which nothing may come for minutes, though all is well.
SELDOM: frozenset[Kind] = frozenset({"kline", "liquidation"})


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
    #: Whether one of them was new.
    has_new: bool = False
    #: Where it stands, as the ledger's record does; of that only ids and times.
    record: Record = msgspec.field(default_factory=Record)
    #: Whether the ledger's own record was looked at.
    compared: bool = False
    #: Repeats since the last new event, and when that was seen.
    repeats_in_row: int = 0
    new_s: float = 0.0
    #: At the last tick with events.
    seen_s: float = 0.0
    #: How many ticks had events, and how long it usually is between two of them.
    ticks: int = 0
    pause_s: float = 0.0
    #: Fading counts, and since when most of them have been repeats.
    recent: float = 0.0
    recent_repeats: float = 0.0
    repeating_since_s: float | None = None

    def take(self, event: AnyEvent, refuse: Callable[[str, str], None]) -> None:
        """Note an event, and tell `refuse` where workers will refuse it for its id. Called for each."""
        verdict = self.record.classify(event, "")
        if verdict == "new" and self.record.unconfirmed is None:
            self.record.advance(event)
            self.repeats_in_row, self.has_new = 0, True
        elif verdict == "repeat":
            self.repeats += 1
            self.repeats_in_row += 1
        elif self._admit(event, verdict, refuse):
            self.repeats_in_row, self.has_new = 0, True
        self.event = event
        self.count += 1

    def _admit(self, event: AnyEvent, verdict: Verdict, refuse: Callable[[str, str], None]) -> bool:
        """Move the record on as workers do; return whether strategies are given something."""
        given = self.record.admit(
            event, "", verdict, lambda record, before: refuse(IMPLAUSIBLE_ID, jumped(before, record.id))
        )
        # Ids alone count here: events have no positions yet.
        self.record.applied = None
        return bool(given)

    @property
    def is_doubtful(self) -> bool:
        """Whether the ledger's record of it should be looked at."""
        return not self.compared or self.repeats_in_row >= MUTED_EVENTS

    def move_on(self, now_s: float) -> None:
        """Take a second's events into what is kept of them."""
        self.expected_s = min(self.expected_s, _expected_s(self.event))
        if self.ticks:
            self.pause_s = max(now_s - self.seen_s, _FADING_PAUSE * self.pause_s)
        self.seen_s = now_s
        self.ticks += 1
        if self.has_new or self.ticks == 1:
            self.new_s = now_s
        self.recent = _FADING_S * self.recent + self.count
        self.recent_repeats = _FADING_S * self.recent_repeats + self.repeats
        self.count, self.repeats, self.has_new = 0, 0, False
        share = self.recent_repeats / self.recent
        if self.repeating_since_s is None:
            self.repeating_since_s = now_s if share > REPEATS_SHARE else None
        elif share < REPEATS_OVER_SHARE:
            self.repeating_since_s = None

    @property
    def forget_s(self) -> float:
        """For how long it may be silent before it is forgotten, in seconds."""
        return FORGET_RARE_S if math.isinf(self.expected_s) else FORGET_S + MISSING * self.expected_s


def _expected_s(event: AnyEvent) -> float:
    """Return how long it is until the next event of a stream at least, in seconds; infinite: nobody knows."""
    if isinstance(event, Kline):
        return (event.close_ms + 1 - event.open_ms) / 1000
    return math.inf if event.kind in SELDOM else 0.0
