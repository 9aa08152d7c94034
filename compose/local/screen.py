"""What the demo shows: a welcome, signals as they come, the summary."""

import json
import sys
from collections.abc import Mapping
from typing import Any

import msgspec
from rich.text import Text

from tasks.cli import command_line, format_signals
from tasks.ledger.summary import LedgerSummary
from tasks.protocol.findings import none_used, untaken

LINES_PER_S = 10


class Screen:
    """Writes to standard output or, when the one JSON object is to stand there alone, to standard error."""

    def __init__(self, *, as_json: bool) -> None:
        """Take where to write from `as_json`."""
        self._as_json = as_json
        self.console = command_line.Console(stderr=as_json)
        self._columns = format_signals.SignalColumns(self.console)
        self._second = 0
        self._shown = 0
        self._left_out = 0

    def say(self, text: str) -> None:
        """Print a line of the demo's own."""
        self.console.print(text, style="dim", soft_wrap=True)

    def welcome(self, places: Mapping[str, str]) -> None:
        """Print where everything is."""
        name = ("Realtime Strategies", "bold")
        self.console.print(Text.assemble(name, " is running. Ctrl-C ends it, orderly, with a summary."))
        self._rows(places, "", "cyan")

    def signal(self, raw: bytes, now_s: float) -> None:
        """Print a signal, unless this second already had ten."""
        self.tick(now_s)
        if self._shown >= LINES_PER_S:
            self._left_out += 1
            return
        self._shown += 1
        self._columns.show(format_signals.decode(raw))

    def tick(self, now_s: float) -> None:
        """Begin a new second when it is time, and say how many signals the last one left out."""
        if int(now_s) == self._second:
            return
        if self._left_out:
            self.say(f"... and {self._left_out} more")
        self._second, self._shown, self._left_out = int(now_s), 0, 0

    def summary(self, summary: LedgerSummary, took_s: float) -> None:
        """Print the summary: the one JSON object, or a table. Where no frame was used, a line more says so."""
        values = in_order(summary, took_s)
        if unused := nothing_used(summary):
            self.console.print(unused, style="yellow", soft_wrap=True)
        for text in untaken(summary.skipped):
            self.console.print(text, style="dim", soft_wrap=True, highlight=False)
        if self._as_json:
            sys.stdout.write(json.dumps(values) + "\n")
            sys.stdout.flush()
            return
        self.console.print(Text("\nSummary", "bold"))
        self._rows({name: _cell(value) for name, value in values.items()}, "dim", "")

    def _rows(self, rows: Mapping[str, str], of_names: str, of_texts: str) -> None:
        """Print names and texts in these styles; each row whole, however narrow the terminal is: people copy it."""
        width = max(map(len, rows))
        for name, text in rows.items():
            line = Text.assemble((f"  {name:<{width}}  ", of_names), (text, of_texts))
            self.console.print(line, soft_wrap=True)


def nothing_used(summary: LedgerSummary) -> str:
    """Return a warning when frames came and no strategy took any; else nothing."""
    if not summary.frames or summary.batches or summary.dropped:
        return ""
    return none_used(summary.events, summary.skipped, summary.refused)


def in_order(summary: LedgerSummary, took_s: float) -> dict[str, Any]:
    """Return the summary's fields by name, with `seconds` before the digests."""
    values = msgspec.to_builtins(summary)
    digests = {name: values.pop(name) for name in ("digest", "positions_digest")}
    return {**values, "seconds": round(took_s, 3), **digests}


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_cell(part)}" for key, part in value.items()) or "none"
    return "-" if value is None else f"{value:,}" if isinstance(value, int | float) else str(value)
