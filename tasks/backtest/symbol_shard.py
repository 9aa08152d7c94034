"""Which symbols one of several processes works on. Pure.

Records and states of pools keyed by "symbol" know only their own symbol, so processes among which the symbols are
partitioned need nothing of each other: each reads all lines and parses those of its own symbols. Pools keyed by "all"
go to the first.
"""

from collections.abc import Collection, Iterable

from tasks.errors import RecordingError
from tasks.frames.model import StreamName, parse_stream
from tasks.frames.symbols import meant
from tasks.history.recording_line import RecordingLine


class SymbolShard:
    """Assigns symbols in turn, in the order in which a recording names them: every process assigns alike."""

    def __init__(self, number: int = 0, of: int = 1) -> None:
        """Take shard `number`, from 0, of `of`; by itself, everything."""
        self._number, self._of = number, of
        self._is_mine: dict[str, bool] = {}
        #: By the names of streams, for which the symbol need not be read again.
        self._is_mine_by_stream: dict[str, bool] = {}

    @property
    def is_first(self) -> bool:
        """Whether the pools that need all symbols are worked on here."""
        return self._number == 0

    @property
    def symbols(self) -> list[str]:
        """All symbols seen so far, of every shard, sorted."""
        return sorted(name for name in self._is_mine if name)

    def claim(self, symbol: str) -> bool:
        """Return whether a symbol is this shard's; the first call for a symbol assigns it to the next shard.

        Every process has to call it for the same symbols in the same order.
        """
        mine = self._is_mine.get(symbol)
        if mine is None:
            mine = self._is_mine[symbol] = len(self._is_mine) % self._of == self._number
        return mine

    def claim_stream(self, line: RecordingLine) -> bool | None:
        """Return whether the symbol of a line's stream is this shard's, as `claim`; None: only the payload can tell."""
        mine = self._is_mine_by_stream.get(line.stream)
        if mine is None and (stream := self.stream(line)) is not None:
            mine = self._is_mine_by_stream[line.stream] = self.claim(stream.symbol)
        return mine

    @staticmethod
    def stream(line: RecordingLine) -> StreamName | None:
        """Return the stream that a line names, and with it the symbol of its event; None: only the payload can tell."""
        return parse_stream(line.stream)


def refuse_unknown(wanted: Iterable[str], known: Collection[str]) -> None:
    """Raise RecordingError for symbols that were asked for and are not among those that were read."""
    if unknown := sorted({meant(symbol, known) for symbol in wanted} - set(known)):
        raise RecordingError(
            f"no {', '.join(unknown)} in what was read; it has {', '.join(sorted(known)) or 'no symbols'}"
        )
