"""`./run tasks signals`: what the live pipeline has committed, and what it commits."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Annotated, NamedTuple, TypeVar, get_args

import msgspec
import typer
from rich.text import Text

from tasks.cli import command_line, format_signals
from tasks.cli.command_line import AsJson
from tasks.cli.time_arguments import since_ms
from tasks.configuration import registry
from tasks.errors import UNREADABLE, LedgerError, SettingsError
from tasks.frames.symbols import spellings
from tasks.ledger.reader import LedgerReader
from tasks.ledger.signal_stream import SignalStream, Takes
from tasks.settings import load
from tasks.strategy import Action

app = typer.Typer()

_ACTIONS: tuple[str, ...] = get_args(Action)


class _SignalHeader(msgspec.Struct):
    strategy: str
    symbol: str
    action: str


_about = msgspec.json.Decoder(_SignalHeader).decode
T = TypeVar("T")


def _read(decode: Callable[[bytes], T], packed: bytes) -> T:
    try:
        return decode(packed)
    except UNREADABLE as error:
        raise LedgerError(f"{packed[:100]!r} in the signal stream can't be read: {str(error)[:200]}") from None


class SignalFilter(NamedTuple):
    """The signals to show; an empty set stands for all."""

    strategies: frozenset[str] = frozenset()
    symbols: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()

    def takes(self, packed: bytes) -> bool:
        """Whether a signal, the contract's JSON, is one of them. Raises LedgerError: it is no signal."""
        if not any(self):
            return True
        signal = _read(_about, packed)
        pairs = zip((signal.strategy, signal.symbol, signal.action), self, strict=True)
        return all(not wanted or value in wanted for value, wanted in pairs)


@app.command()
def signals(  # noqa: PLR0913 each argument is an option of the command line
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new signals until Ctrl-C.")] = False,
    strategy: Annotated[list[str] | None, typer.Option(help="Only of this strategy; repeatable.")] = None,
    symbol: Annotated[list[str] | None, typer.Option(help="Only for this symbol; repeatable.")] = None,
    action: Annotated[list[str] | None, typer.Option(help=f"Only this of {', '.join(_ACTIONS)}; repeatable.")] = None,
    last: Annotated[
        int | None, typer.Option("--last", "-n", min=0, help="Begin with so many of the newest.", show_default="all")
    ] = None,
    since: Annotated[str, typer.Option(help="Committed since then: 90s, 10m, 2h, 1d ago, or a time in UTC.")] = "",
    as_json: AsJson = False,
    as_digest: Annotated[bool, typer.Option("--digest", help="Only the digest of all that was committed.")] = False,
) -> None:
    """Show the signals that the live pipeline has committed, oldest first.

    Example: ./run tasks signals --follow --last 20 --symbol BTCUSDT --symbol ETHUSDT
    """
    reader = LedgerReader.reach(load())
    if as_digest:
        typer.echo(reader.digest())
        return
    if unknown := set(action or ()) - set(_ACTIONS):
        raise SettingsError(f"--action takes {', '.join(_ACTIONS)}, not {', '.join(sorted(unknown))}")
    chosen = SignalFilter(
        frozenset(map(registry.carried_name, strategy or ())),
        frozenset().union(*map(spellings, symbol or ())),
        frozenset(action or ()),
    )
    found = _found(reader, chosen.takes, _begin_ms(reader, since), last, follow=follow)
    if as_json:
        for packed in found:
            typer.echo(packed)
    else:
        _show(found)


def _begin_ms(reader: LedgerReader, since: str) -> int:
    if not since:
        return 0
    # By Redis's clock: it dates the entries of the stream.
    now_s, now_us = reader.client.time()
    return since_ms(since, now_s * 1_000 + now_us // 1_000)


def _found(reader: LedgerReader, takes: Takes, begin_ms: int, last: int | None, *, follow: bool) -> Iterator[bytes]:
    stream = SignalStream(reader, takes)
    stored = stream.stored(begin_ms) if last is None else iter(stream.newest(last, begin_ms))
    return chain(stored, stream.follow(_say)) if follow else stored


def _say(text: str) -> None:
    command_line.Console(stderr=True).print(Text(text, style="yellow"), soft_wrap=True)


def _show(found: Iterable[bytes]) -> None:
    """Print lines: for a terminal in columns, with a line where a new day begins; else whole."""
    console = command_line.Console()
    columns = format_signals.SignalColumns(console)
    day = ""
    if console.is_terminal:
        columns.header()
    for packed in found:
        signal = _read(format_signals.decode, packed)
        if not console.is_terminal:
            typer.echo(format_signals.plain(signal))
            continue
        if day != (day := signal.day):
            console.print(Text(day, style="dim bold"))
        columns.show(signal)
