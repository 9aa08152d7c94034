"""The bars of recorded trades as a table: those that strategies get."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Literal, cast, get_args

from tasks.bars import BarSpec, builder
from tasks.errors import SettingsError
from tasks.events import AnyEvent, Trade, Venue
from tasks.export import bar_columns
from tasks.export.events import EventReader
from tasks.export.rows import RecordingInput, RowSource
from tasks.protocol.records import Record

TradeKind = Literal["trade", "agg_trade"]
TRADE_KINDS: tuple[TradeKind, ...] = get_args(TradeKind)
SOURCE = "export"


def source(recordings: RecordingInput, bar: str, kind: str = "trade") -> RowSource:
    """Return the bars that trades (or aggregate trades) close, in the order in which they do.

    What is open at the end is no bar. Raises SettingsError: there is no such bar, or `kind` is no kind of trades.
    """
    if kind not in TRADE_KINDS:
        raise SettingsError(f"bars are made of {' or '.join(TRADE_KINDS)}, not of {kind}")
    try:
        spec = BarSpec.parse(bar)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    reader = EventReader(recordings, [kind])
    rows = builder.bars(_once(reader.rows()), spec)
    metadata = recordings.metadata(bar_columns.TABLE, bar=spec.text, kind=kind)
    return RowSource(bar_columns.TABLE, rows, metadata, reader.findings)


def _once(events: Iterable[AnyEvent]) -> Iterator[Trade]:
    """Yield trades without those that the engine takes for repeats."""
    records: defaultdict[tuple[Venue, str], Record] = defaultdict(Record)
    for trade in events:
        record = records[trade.venue, trade.symbol]
        for given in record.admit(trade, SOURCE, record.classify(trade, SOURCE)):
            yield cast("Trade", given)
