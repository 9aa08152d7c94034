"""A position of the paper account as one line for a person: closed, or open."""

import msgspec
from rich.text import Text

from tasks.cli.aligned_lines import AlignedLines, LineColumn
from tasks.cli.command_line import Console
from tasks.events import DateMs
from tasks.paper.open_row import OpenRow
from tasks.protocol.signed_number import signed
from tasks.protocol.utc_time import utc, utc_iso_ms

_NAMES = (
    LineColumn("strategy", 17),
    LineColumn("venue", 5, narrow=0),
    LineColumn("symbol", 10),
    LineColumn("side", 5),
)
_CLOSED = (
    LineColumn("UTC", 8),
    *_NAMES,
    LineColumn("entry", 10, ">", narrow=0),
    LineColumn("exit", 10, ">", narrow=0),
    LineColumn("pnl", 9, ">"),
    LineColumn("bps", 7, ">"),
    LineColumn("held", 6, ">"),
    LineColumn("why", 11),
)
_OPEN = (
    LineColumn("since", 8),
    *_NAMES,
    LineColumn("quantity", 10, ">", narrow=0),
    LineColumn("entry", 10, ">"),
    LineColumn("now", 10, ">"),
    LineColumn("unrealised", 10, ">"),
)


class DisplayedPosition(msgspec.Struct):
    """The fields of a closed position that are printed."""

    strategy: str
    venue: str
    symbol: str
    side: str
    entry_price: float
    exit_price: float
    opened_ms: DateMs
    closed_ms: DateMs
    exit_reason: str
    pnl: float
    return_bps: float


decode = msgspec.json.Decoder(DisplayedPosition).decode


def amount(value: float) -> str:
    """Return a profit with its sign: four decimals, or two digits where those show nothing."""
    return signed(value, 4) if abs(value) >= 0.001 or not value else f"{value:+.1e}"


def duration(length_ms: int) -> str:
    """Return a length of time in its two largest units: 12.3s, 5m03s, 3h05m, 2d04h."""
    if length_ms < 60_000:
        return f"{length_ms / 1_000:.1f}s"
    minutes, seconds = divmod(length_ms // 1_000, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02}h"
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{seconds:02}s"


def _coloured(value: float, text: str) -> Text:
    return Text(text, "green" if value > 0 else "red" if value < 0 else "")


def _side(side: str) -> Text:
    return Text(side, "green" if side == "long" else "red")


class ClosedColumns:
    """Prints closed positions."""

    def __init__(self, console: Console) -> None:
        self._lines = AlignedLines(console, _CLOSED, wide=120)
        self.header = self._lines.header

    def show(self, closed: DisplayedPosition) -> None:
        """Print one for a terminal, in columns."""
        self._lines.show(
            Text(utc(closed.closed_ms).partition(" ")[2]),
            Text(closed.strategy),
            Text(closed.venue),
            Text(closed.symbol),
            _side(closed.side),
            Text(f"{closed.entry_price:,.8g}"),
            Text(f"{closed.exit_price:,.8g}"),
            _coloured(closed.pnl, amount(closed.pnl)),
            Text(signed(closed.return_bps, 1)),
            Text(duration(closed.closed_ms - closed.opened_ms)),
            Text(closed.exit_reason, "dim"),
        )

    def plain(self, closed: DisplayedPosition) -> str:
        """Return the line for a file or a pipe: whole, with the date, as wide as it is."""
        names = f"{closed.strategy:<18} {closed.venue:<5} {closed.symbol:<12} {closed.side:<5}"
        prices = f"{closed.entry_price:<12.10g} {closed.exit_price:<12.10g}"
        result = f"{amount(closed.pnl):>9} {signed(closed.return_bps, 1):>8}"
        held = duration(closed.closed_ms - closed.opened_ms)
        return f"{utc_iso_ms(closed.closed_ms)}  {names} {prices} {result} {held:>7}  {closed.exit_reason}"

    def day(self, closed: DisplayedPosition) -> str:
        """Return the day of its closing: 2024-08-09 (UTC)."""
        return utc(closed.closed_ms).partition(" ")[0]


class OpenColumns:
    """Prints open positions."""

    def __init__(self, console: Console) -> None:
        self._lines = AlignedLines(console, _OPEN, wide=110)
        self.header = self._lines.header

    def show(self, row: OpenRow) -> None:
        """Print one for a terminal, in columns."""
        self._lines.show(
            Text(utc(row.opened_ms).partition(" ")[2]),
            Text(row.strategy),
            Text(row.venue),
            Text(row.symbol),
            _side(row.side),
            Text(f"{row.quantity:,.6g}"),
            Text(f"{row.entry_price:,.8g}"),
            Text(f"{row.last_price:,.8g}"),
            _coloured(row.unrealised, amount(row.unrealised)),
        )

    def plain(self, row: OpenRow) -> str:
        """Return the line for a file or a pipe: whole, with the date, as wide as it is."""
        names = f"{row.strategy:<18} {row.venue:<5} {row.symbol:<12} {row.side:<5}"
        prices = f"{row.quantity:<12.10g} {row.entry_price:<12.10g} {row.last_price:<12.10g}"
        return f"{utc_iso_ms(row.opened_ms)}  {names} {prices} {amount(row.unrealised)}"

    def day(self, row: OpenRow) -> str:
        """Return the day on which it was opened: 2024-08-09 (UTC)."""
        return utc(row.opened_ms).partition(" ")[0]
