"""The dead letters in Redis, for who looks through them: read page by page, so that their number does not matter."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from tasks.errors import NotFoundError
from tasks.ledger import pager
from tasks.ledger.entry_id import NONE, EntryId, by_ledger, is_id
from tasks.ledger.reader import LedgerReader
from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import DeadLetter

#: Letters read at a time; one may take a few times 64 KiB.
PAGE = 100


class StoredLetter(NamedTuple):
    """A dead letter and its entry's id (`tasks.ledger.entry_id`), which begins with the time of writing, Redis's clock."""

    id: str
    letter: DeadLetter

    @property
    def at_ms(self) -> int:
        """When it was written."""
        return self.at_ms_of(self.id)

    @staticmethod
    def at_ms_of(name: str) -> int:
        """Return the time in an id."""
        return int(name.partition("-")[0])


class DeadLetterFilter(NamedTuple):
    """The dead letters to select; an empty set stands for all."""

    #: Reasons, and those of refusals.
    reasons: frozenset[str] = frozenset()
    strategies: frozenset[str] = frozenset()
    symbols: frozenset[str] = frozenset()
    #: Written in this time, both ends included.
    since_ms: int = 0
    until_ms: int | None = None
    #: Only so many of the newest; None for all.
    last: int | None = None

    def takes(self, letter: DeadLetter) -> bool:
        """Return whether a letter matches, except for when it was written."""
        return (
            (not self.reasons or bool(self.reasons & {letter.reason, letter.refusal}))
            and (not self.strategies or letter.author in self.strategies)
            and (not self.symbols or letter.symbol in self.symbols)
        )


class DeadLetterStore:
    """Reads and removes dead letters."""

    def __init__(self, reader: LedgerReader) -> None:
        self.reader = reader
        self._clients: tuple[Any, ...] = reader.clients
        self._stream = reader.keys.deadletters

    def now_ms(self) -> int:
        """Return Redis's clock, which dates the letters: of several ledgers, that of the first."""
        now_s, now_us = self._clients[0].time()
        return int(now_s) * 1_000 + int(now_us) // 1_000

    def newest_ids(self) -> list[str]:
        """Return the id of the newest letter of each ledger, as that has it; 0-0 where there is none."""
        found = (client.xrevrange(self._stream, count=1) for client in self._clients)
        return [newest[0][0].decode() if newest else NONE for newest in found]

    def choose(self, chosen: DeadLetterFilter) -> Iterator[StoredLetter]:
        """Yield what was asked for, oldest first. What is written meanwhile is left out."""
        start, ends = f"{chosen.since_ms}-0", self.newest_ids()
        if chosen.until_ms is not None:
            ends = [str(chosen.until_ms) if chosen.until_ms < StoredLetter.at_ms_of(end) else end for end in ends]
        found = self._pages(start, ends) if chosen.last is None else self._newest(chosen, chosen.last, start, ends)
        return (each for each in found if chosen.takes(each.letter))

    def _newest(self, chosen: DeadLetterFilter, count: int, start: str, ends: list[str]) -> Iterator[StoredLetter]:
        """Look for the first one of the last `count` from the end, and read on from there: so none has to be kept."""
        backwards = self._pages(start, ends, backwards=True)
        ids = [each.id for each in islice((each for each in backwards if chosen.takes(each.letter)), count)]
        return self._pages(ids[-1], ends) if ids else iter(())

    def after(self, ends: list[str]) -> Iterator[StoredLetter]:
        """Yield the letters behind `ends`, ids as `newest_ids` returns them, and move these on to the last one of each."""
        for each in self._pages([f"({end}" for end in ends], "+"):
            entry = EntryId.parse(each.id)
            ends[entry.ledger] = entry.stored
            yield each

    def _pages(self, start: pager.Bound, end: pager.Bound, *, backwards: bool = False) -> Iterator[StoredLetter]:
        for name, fields in pager.entries(self._clients, self._stream, start, end, page=PAGE, backwards=backwards):
            yield StoredLetter(name, dead_letters.read(fields.get(b"letter", b"")))

    def get(self, ids: Iterable[str]) -> Iterator[StoredLetter]:
        """Yield the letters of these ids. Raises NotFoundError for the first that is not there."""
        for each in ids:
            found = list(self._pages(each, each)) if is_id(each) else []
            if not found:
                raise NotFoundError(f"there is no dead letter {each}; `./run tasks deadletters list` shows their ids")
            yield found[0]

    def drop(self, ids: Sequence[str]) -> int:
        """Remove letters, those of a ledger all at once; return how many were there."""
        held = by_ledger(ids)
        return sum(
            int(client.xdel(self._stream, *held[ledger]))
            for ledger, client in enumerate(self._clients)
            if ledger in held
        )
