"""Which of the streams that a live feed asked for it hears of. Pure: time is an argument.

The exchange accepts every name and says nothing about one that it never pushes: a symbol that it does not have, a
stream on the wrong route, a feed of its own that stands still. So each stream is watched for as long as the feed runs.
"""

from collections.abc import Iterable
from typing import NamedTuple

#: A stream that usually speaks every second may be silent for so many of its usual pauses.
USUAL_PAUSES = 20
#: What a new pause counts in the mean of them.
_WEIGHT = 0.1


class Patience(NamedTuple):
    """How long a stream may be silent; seconds."""

    #: Of books, which the exchange pushes ten times a second, and of every stream at first.
    books_s: float = 10.0
    #: Of trades that have come before: nobody has to trade.
    trades_s: float = 60.0


class Silent(NamedTuple):
    """A stream that says nothing."""

    stream: str
    #: Since its last message, or since it was asked for; seconds.
    for_s: float
    #: Whether it has ever spoken.
    spoke: bool


class _Heard:
    """What is known of one stream."""

    __slots__ = ("at_s", "pause_s", "spoke")

    def __init__(self, at_s: float) -> None:
        self.at_s = at_s
        self.pause_s = 0.0
        self.spoke = False


class StreamWatch:
    """Finds who is silent among streams that were asked for."""

    def __init__(self, patience: Patience, streams: Iterable[str]) -> None:
        """Watch these streams; `begin` says since when they may be expected to speak."""
        self._patience = patience
        self._heard = {stream: _Heard(0.0) for stream in streams}

    @property
    def asked(self) -> int:
        """How many streams are watched."""
        return len(self._heard)

    def begin(self, now_s: float) -> None:
        """Expect the streams that have not spoken yet from now on."""
        for heard in self._heard.values():
            if not heard.spoke:
                heard.at_s = now_s

    def hear(self, stream: str, now_s: float) -> None:
        """Note a message. Called with each: what nobody asked for is left out."""
        heard = self._heard.get(stream)
        if heard is None:
            return
        if heard.spoke:
            heard.pause_s += _WEIGHT * (now_s - heard.at_s - heard.pause_s)
        heard.at_s, heard.spoke = now_s, True

    def silent(self, now_s: float) -> list[Silent]:
        """Return the streams that are silent for longer than they usually are, by name."""
        found = (Silent(stream, now_s - heard.at_s, heard.spoke) for stream, heard in self._heard.items())
        return sorted(each for each in found if each.for_s > self._limit_s(each))

    def _limit_s(self, each: Silent) -> float:
        first_s = self._patience.trades_s if each.spoke and "@trade" in each.stream else self._patience.books_s
        return max(first_s, USUAL_PAUSES * self._heard[each.stream].pause_s)
