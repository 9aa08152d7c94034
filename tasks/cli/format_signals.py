"""A signal as one line for a person: columns that stay aligned, the action in colour."""

from collections.abc import Sequence

import msgspec
from rich.text import Text

from tasks.cli.command_line import Console, print_line
from tasks.events import DateMs
from tasks.protocol.utc_time import utc, utc_iso_ms

#: Below this width of the terminal the columns stand closer.
_WIDE = 100
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

    @property
    def day(self) -> str:
        """The day of its event: 2024-08-09 (UTC)."""
        return utc(self.event_time_ms).partition(" ")[0]

    @property
    def clock(self) -> str:
        """The time of day of its event: 00:00:00 (UTC)."""
        return utc(self.event_time_ms).partition(" ")[2]


decode = msgspec.json.Decoder(DisplayedSignal).decode


def plain(signal: DisplayedSignal) -> str:
    """Return the line for a file or a pipe: whole, with the date, as wide as it is."""
    facts = f"{signal.symbol:<12} {signal.action:<5} {signal.price:<12g} {signal.confidence:.2f}"
    return f"{utc_iso_ms(signal.event_time_ms)}  {signal.strategy:<18} {facts}  {signal.rationale}"


class SignalColumns:
    """Prints signals in aligned columns. A longer name than any before widens its column from there on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._strategy = 17
        self._symbol = 10

    def header(self) -> None:
        """Print what the columns are."""
        self._print(("UTC", "strategy", "symbol", "side", "price", "sure", "why"), ("dim",) * 7)

    def show(self, signal: DisplayedSignal) -> None:
        """Print one signal. A terminal gets of the reason, a sentence, what fits behind the values, which are whole."""
        self._strategy = max(self._strategy, len(signal.strategy))
        self._symbol = max(self._symbol, len(signal.symbol))
        price, sure = f"{signal.price:,.8g}", f"{signal.confidence:.2f}"
        cells = (signal.clock, signal.strategy, signal.symbol, signal.action, price, sure, signal.rationale)
        self._print(cells, ("", "", "", _COLOURS.get(signal.action, "yellow"), "", "", "dim"))

    def _print(self, cells: Sequence[str], styles: Sequence[str]) -> None:
        close = self._console.is_terminal and self._console.width < _WIDE
        forms = ("<8", f"<{self._strategy}", f"<{self._symbol}", "<5", ">10" if close else ">14", "<4", "")
        padded = [Text(f"{cell:{form}}", style) for cell, style, form in zip(cells, styles, forms, strict=True)]
        space, reason = Text(" " if close else "  "), padded.pop()
        line = space.join([*padded, Text()])
        if self._console.is_terminal:
            room = self._console.width - line.cell_len
            reason.truncate(max(0, room), overflow="ellipsis" if room > 0 else "crop")
        print_line(self._console, line + reason)
