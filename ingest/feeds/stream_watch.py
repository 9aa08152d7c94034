"""Silence among the streams to which a live feed has subscribed. Pure: time is an argument, in monotonic seconds.

The exchange accepts every name, without an error for one that it never pushes: a symbol that it does not have, a
stream on the wrong route, a feed of its own that stands still. So each stream is watched for as long as the feed runs.
"""

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

#: A stream may be silent for so many of its usual pauses.
USUAL_PAUSES = 20
#: What a new pause counts in the mean of them.
_WEIGHT = 0.1


class SilenceTimeouts(NamedTuple):
    """Seconds for which a stream may be silent."""

    #: Of books and mark prices, which the exchange pushes all the time, and of most streams at first.
    books_s: float = 10.0
    #: Of trades and quotes that have come before: nobody has to trade. Of candles, beyond their interval.
    trades_s: float = 60.0


#: Streams of what happens now and then.
_OCCASIONAL = ("trade", "aggTrade", "bookTicker")
_CANDLES = re.compile(r"kline_(\d+)([smhdwM])")
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "M": 2_592_000}
#: No candle is waited for longer: while people trade, the exchange pushes it also before it closes.
_LONGEST_CANDLE_S = 3_600.0


def allowed_s(timeouts: SilenceTimeouts, stream: str, *, received: bool) -> float:
    """Return for how long a stream may be silent, whatever its usual pauses; liquidations for ever.

    `received`: whether a message of it has ever come.
    """
    name = stream.partition("@")[2]
    if name == "forceOrder":
        return math.inf
    if candles := _CANDLES.fullmatch(name):
        return timeouts.trades_s + min(_LONGEST_CANDLE_S, int(candles[1]) * _UNITS_S[candles[2]])
    return timeouts.trades_s if received and name in _OCCASIONAL else timeouts.books_s


class SilentSubscription(NamedTuple):
    """A subscribed stream that has been silent for longer than usual."""

    stream: str
    #: Since its last message, or since it was subscribed to; seconds.
    for_s: float
    #: Whether a message has ever come.
    received: bool


class _StreamActivity:
    """Activity of one stream: when its last message came and the mean pause between messages, in monotonic seconds."""

    __slots__ = ("at_s", "pause_s", "received")

    def __init__(self, at_s: float) -> None:
        self.at_s = at_s
        self.pause_s = 0.0
        self.received = False


class StreamWatch:
    """Detects silence among the streams that a feed has subscribed to."""

    def __init__(self, timeouts: SilenceTimeouts, streams: Iterable[str]) -> None:
        """Watch these streams; messages are expected from `begin` on."""
        self._timeouts = timeouts
        self._activities = {stream: _StreamActivity(0.0) for stream in streams}

    @property
    def subscribed(self) -> int:
        """How many streams are watched."""
        return len(self._activities)

    @property
    def received(self) -> bool:
        """Whether a message of any stream has ever come."""
        return any(activity.received for activity in self._activities.values())

    def begin(self, now_s: float) -> None:
        """Expect the streams that have not sent a message yet from now on."""
        for activity in self._activities.values():
            if not activity.received:
                activity.at_s = now_s

    def record(self, stream: str, now_s: float) -> None:
        """Record a message at `now_s`. Called with each: a stream that is not watched is ignored."""
        activity = self._activities.get(stream)
        if activity is None:
            return
        if activity.received:
            activity.pause_s += _WEIGHT * (now_s - activity.at_s - activity.pause_s)
        activity.at_s, activity.received = now_s, True

    def silent(self, now_s: float) -> list[SilentSubscription]:
        """Return the streams that are silent for longer than they usually are, by name."""
        found = (
            SilentSubscription(stream, now_s - activity.at_s, activity.received)
            for stream, activity in self._activities.items()
        )
        return sorted(each for each in found if each.for_s > self._limit_s(each))

    def _limit_s(self, each: SilentSubscription) -> float:
        first_s = allowed_s(self._timeouts, each.stream, received=each.received)
        return max(first_s, USUAL_PAUSES * self._activities[each.stream].pause_s)
