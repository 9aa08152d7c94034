"""A book that follows the exchange's diff depth, from a snapshot on. Pure.

Binance documents a procedure for spot (`U`, `u`) and one for futures (`pu`, `u`). Both are one rule: a diff takes a book
from any id between `after` (`U` - 1, or `pu`) and `u` to `u`, because it tells the quantity of every level that changed
since `after`. A diff that ends at or before the book's id is a repeat; one that begins behind it leaves a gap.

    gap, crossed, malformed, restarted ──► no book until the next snapshot; diffs wait for it
"""

from collections import deque
from enum import StrEnum

from tasks.books.diffs import Diff, Snapshot
from tasks.books.order_book import OrderBook, TopLevels

#: Diffs that wait for a snapshot, which is 12 s of them: the oldest are dropped, and a snapshot that needed them is too old.
MAX_WAITING = 128
#: Ids that are lower for so long are no repeats: they have restarted.
RESTART_MS = 60_000


class Outcome(StrEnum):
    """The result of applying a diff or a snapshot."""

    #: The book is at the diff's `u`; it stands on the snapshot.
    APPLIED = "applied"
    #: It is kept until there is a snapshot.
    WAITING = "waiting"
    #: The book holds it already.
    REPEAT = "repeat"
    #: Something between is missing. Of a snapshot: it is too old.
    GAP = "gap"
    #: The exchange's ids restarted.
    RESTARTED = "restarted"
    #: The best bid is not below the best ask, which no market's is.
    CROSSED = "crossed"
    #: A price or a quantity is none.
    MALFORMED = "malformed"

    @property
    def lost(self) -> bool:
        """Whether the book is lost and takes a new snapshot."""
        return self in _LOST


_LOST = frozenset({Outcome.GAP, Outcome.RESTARTED, Outcome.CROSSED, Outcome.MALFORMED})


def _restarts(diff: Diff, last_ms: int | None) -> bool:
    return last_ms is not None and last_ms + RESTART_MS < diff.E


class _State:
    """A book at an id."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.book: OrderBook = snapshot.book
        self.id = snapshot.last_update_id
        #: The last diff that was applied, and the time of the first or of the last applied one.
        self.diff: Diff | None = None
        self.time_ms: int | None = None

    def follow(self, diff: Diff) -> Outcome:
        if diff.u <= self.id:
            if _restarts(diff, self.time_ms):
                return Outcome.RESTARTED
            self.time_ms = diff.E if self.time_ms is None else self.time_ms
            return Outcome.REPEAT
        if diff.after > self.id:
            return Outcome.GAP
        try:
            self.book.set(diff.b, diff.a)
        except ValueError:
            return Outcome.MALFORMED
        self.id, self.time_ms, self.diff = diff.u, diff.E, diff
        return Outcome.APPLIED if self.book.settle() else Outcome.CROSSED


class LocalOrderBook:
    """A symbol's book. Feed it every diff in order of receipt, and a snapshot whenever `outcome.lost`, or at first.

    What `top` returns is the exchange's book at `last.u`, complete, or None.
    """

    def __init__(self) -> None:
        """Begin without a book: diffs wait for the first snapshot."""
        self._state: _State | None = None
        self._waiting: deque[Diff] = deque(maxlen=MAX_WAITING)
        #: Whether diffs are kept for another snapshot, though there is a book.
        self._refreshing = False

    @property
    def synced(self) -> bool:
        """Whether there is a book."""
        return self._state is not None

    @property
    def last(self) -> Diff | None:
        """The last diff that was applied: the book's ids and times. None: there is no book, or only the snapshot."""
        return self._state.diff if self._state else None

    @property
    def id(self) -> int | None:
        """The book's id; None: there is no book."""
        return self._state.id if self._state else None

    def refresh(self) -> None:
        """Keep diffs for another snapshot while the book goes on: call this before the snapshot is asked for."""
        self._refreshing = True

    def apply(self, diff: Diff) -> Outcome:
        """Apply a diff, or keep it until there is a snapshot."""
        outcome = Outcome.WAITING if self._state is None else self._state.follow(diff)
        if outcome.lost:
            self._drop()
        if outcome is not Outcome.MALFORMED and (self._state is None or self._refreshing):
            self._wait(diff)
        return outcome

    def seed(self, snapshot: Snapshot) -> Outcome:
        """Put the book on a snapshot and apply what has waited for it.

        Returns APPLIED, or why the snapshot can't be used: GAP when it is too old for the diffs that wait, or for the book.
        The book then stays as it was.
        """
        state = _State(snapshot)
        if not state.book.settle():
            return Outcome.CROSSED
        for diff in self._waiting:
            if (outcome := state.follow(diff)).lost:
                # A gap can be closed by a newer snapshot. What else is wrong is in the diffs.
                if outcome is not Outcome.GAP:
                    self._waiting.clear()
                return outcome
        if self._state is not None and state.id < self._state.id:
            return Outcome.GAP
        self._drop()
        self._state = state
        return Outcome.APPLIED

    def _drop(self) -> None:
        self._state, self._refreshing = None, False
        self._waiting.clear()

    def _wait(self, diff: Diff) -> None:
        """Keep a diff; those that wait follow each other without a gap."""
        if self._waiting:
            last = self._waiting[-1]
            restarts = _restarts(diff, last.E)
            if diff.u <= last.u and not restarts:
                return
            if diff.after > last.u or restarts:
                self._waiting.clear()
        self._waiting.append(diff)

    def proves(self, levels: int) -> bool:
        """Return whether there is a book whose best `levels` are known; see `order_book`."""
        return self._state is not None and self._state.book.proves(levels)

    def top(self, levels: int) -> TopLevels | None:
        """Return the best `levels`, in the exchange's own text; None: there is no book, or they are not proved."""
        return self._state.book.top(levels) if self._state else None
