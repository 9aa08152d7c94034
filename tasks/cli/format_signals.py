"""A signal as one line for a person: columns that stay aligned, the action in colour."""

import msgspec
from rich.text import Text

from tasks.cli.aligned_lines import AlignedLines, LineColumn
from tasks.cli.command_line import Console
from tasks.events import DateMs
from tasks.protocol.utc_time import utc, utc_iso_ms

_COLUMNS = (
    LineColumn("UTC", 8),
    LineColumn("strategy", 17),
    LineColumn("symbol", 10),
    LineColumn("side", 5),
    LineColumn("price", 14, ">", narrow=10),
    LineColumn("sure", 4),
)
_COLOURS = {"buy": "green", "sell": "red"}


class DisplayedSignal(msgspec.Struct):
    """The fields of a signal that are printed."""

    strategy: str
    symbol: str
    action: str
    price: float
    confidence: float
    event_time_ms: DateMs
    rationale: str = ""


decode = msgspec.json.Decoder(DisplayedSignal).decode


def plain(signal: DisplayedSignal) -> str:
    """Return the line for a file or a pipe: whole, with the date, as wide as it is."""
    facts = f"{signal.symbol:<12} {signal.action:<5} {signal.price:<12g} {signal.confidence:.2f}"
    return f"{utc_iso_ms(signal.event_time_ms)}  {signal.strategy:<18} {facts}  {signal.rationale}"


class SignalColumns:
    """Prints signals. Of the reason, a sentence, a terminal gets what fits behind the values, which are whole."""

    def __init__(self, console: Console) -> None:
        self._lines = AlignedLines(console, _COLUMNS, wide=100, text="why")
        self.header, self.plain = self._lines.header, plain

    def show(self, signal: DisplayedSignal) -> None:
        """Print one for a terminal, in columns."""
        self._lines.show(
            Text(utc(signal.event_time_ms).partition(" ")[2]),
            Text(signal.strategy),
            Text(signal.symbol),
            Text(signal.action, _COLOURS.get(signal.action, "yellow")),
            Text(f"{signal.price:,.8g}"),
            Text(f"{signal.confidence:.2f}"),
            Text(signal.rationale, "dim"),
        )

    def day(self, signal: DisplayedSignal) -> str:
        """Return the day of its event: 2024-08-09 (UTC)."""
        return utc(signal.event_time_ms).partition(" ")[0]
