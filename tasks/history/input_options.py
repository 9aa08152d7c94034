"""What is read of files, and what they don't say themselves. Pure."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tasks.errors import SettingsError
from tasks.frames import timestamps
from tasks.frames.symbols import meant, spellings


class InputOptions(NamedTuple):
    """Which part of the files is read. The default is all of it."""

    #: Only these; none: all.
    symbols: frozenset[str] = frozenset()
    #: The symbol of files that name none; empty: they can't be read.
    symbol: str = ""
    #: The venue of files that name none, or not surely; empty: as their columns tell.
    venue: str = ""
    #: From this moment on and before that one, unix nanoseconds.
    from_ns: int = 0
    to_ns: int = 2**63 - 1
    #: The least time between two books that are made of level updates.
    book_interval_ms: int = 100

    @property
    def cuts(self) -> bool:
        """Whether a time is too early or too late."""
        return self.from_ns > 0 or self.to_ns < 2**63 - 1

    def nothing(self, paths: Iterable[Path]) -> str:
        """Return a line for files in which there is nothing of what is read."""
        symbols = f"of {', '.join(sorted(self.symbols))} " if self.symbols else ""
        part = f"{symbols}between --from and --to " if self.cuts else symbols
        return f"there is nothing {part}in {', '.join(map(str, paths))}"

    def wants(self, symbol: str) -> bool:
        """Whether a symbol is read."""
        return not self.symbols or symbol in self.symbols or symbol.upper() in self.symbols


ALL = InputOptions()


def moment_ns(text: str, option: str) -> int:
    """Return the unix nanoseconds of an ISO 8601 time (UTC without a zone) or a unix time. Raises SettingsError."""
    at_ns = timestamps.unix_ns(text)
    if at_ns is None:
        raise SettingsError(f"{option} takes a day or a time like 2024-08-08T12:00, or a unix time, not {text!r}")
    return at_ns


def options(
    symbols: str = "", venue: str = "", begin: str = "", end: str = "", book_interval_ms: int = 100
) -> InputOptions:
    """Return the options as a command line gives them: symbols with commas between, times as text.

    A single symbol is also that of files that name none. Raises SettingsError.
    """
    typed = [word.strip() for word in symbols.split(",") if word.strip()]
    named = meant(typed[0], ()) if len(typed) == 1 else ""
    from_ns = moment_ns(begin, "--from") if begin else 0
    to_ns = moment_ns(end, "--to") if end else ALL.to_ns
    if from_ns >= to_ns:
        raise SettingsError(f"--from {begin} is not before --to {end}")
    return InputOptions(frozenset().union(*map(spellings, typed)), named, venue, from_ns, to_ns, book_interval_ms)
