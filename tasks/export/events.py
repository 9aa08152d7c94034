"""The events of recordings as a table: what strategies would be given, in the order of the frames."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from tasks.backtest.symbol_shard import refuse_unknown
from tasks.events import KINDS, AnyEvent, Kind
from tasks.export import event_columns
from tasks.export.event_columns import DEFAULT_LEVELS
from tasks.export.rows import RecordingInput, RowSource
from tasks.frames.model import RefusedFrame, SkippedFrame
from tasks.frames.optional_kinds import READ
from tasks.frames.plausibility import FrameReader
from tasks.frames.symbols import spellings


def source(recordings: RecordingInput, kinds: Collection[str] = KINDS, levels: int = DEFAULT_LEVELS) -> RowSource:
    """Return the events of these kinds, with so many levels of each book.

    Frames are parsed and checked for plausibility as in a backtest that takes these kinds. Repeats, which the engine
    leaves out, are kept. Raises SettingsError: see `event_columns.table`.
    """
    schema = event_columns.table(kinds, levels)
    reader = EventReader(recordings, [kind for kind in KINDS if kind in kinds])
    return RowSource(schema, reader.rows(), recordings.metadata(schema), reader.findings)


#: Kinds of events by the names under which their frames are skipped where nobody asks for them.
_OTHER: Mapping[str, Kind] = READ | {kind: kind for kind in KINDS}


class EventReader:
    """Reads the events of some kinds, once, and counts what else there is."""

    def __init__(self, recordings: RecordingInput, kinds: Collection[Kind]) -> None:
        self._input, self._kinds = recordings, kinds
        self._frames = self._rows = 0
        #: What was read, all symbols together.
        self._events, self._skipped, self._refused = Counter[str](), Counter[str](), Counter[str]()
        self._symbols: set[str] = set()

    def rows(self) -> Iterator[AnyEvent]:
        """Yield the events that are asked for. Raises RecordingError."""
        reader = FrameReader(self._input.limits, self._kinds)
        wanted = frozenset[str]().union(*map(spellings, self._input.symbols))
        for line in self._input.lines():
            self._frames += 1
            event = reader.read(line.raw, line.stream, self._frames, line.received_at_ns)
            if isinstance(event, SkippedFrame):
                self._skipped[event.kind] += 1
            elif isinstance(event, RefusedFrame):
                self._refused[event.reason] += 1
            else:
                self._events[event.kind] += 1
                self._symbols.add(event.symbol)
                if event.kind in self._kinds and (not wanted or event.symbol in wanted):
                    self._rows += 1
                    yield event
        refuse_unknown(self._input.symbols, self._symbols)

    def findings(self) -> list[str]:
        """Return what a person should know: that there was nothing, or nothing of these kinds; what was refused."""
        if not self._frames:
            return [self._input.nothing]
        found = []
        if not self._rows:
            there = Counter({_OTHER.get(name, name): count for name, count in (self._events + self._skipped).items()})
            found.append(
                f"no event of kind {', '.join(self._kinds)}; the frames are: {_counts(there) or 'all refused'}"
            )
        elif unused := {name: count for name, count in self._skipped.items() if name not in _OTHER}:
            found.append(f"frames that are no events were skipped, by kind: {_counts(unused)}")
        if self._refused:
            found.append(f"frames were refused, by reason: {_counts(self._refused)}")
        return found


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
