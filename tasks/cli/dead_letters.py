"""`./run tasks deadletters`: list, show, retry and remove dead letters."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Annotated, get_args

import typer
from nats.errors import Error as NatsError
from rich.text import Text

from tasks.cli import command_line, format_dead_letters
from tasks.cli.command_line import AsJson
from tasks.cli.time_arguments import (
    since_ms,
)
from tasks.clients.nats_client import connect_once
from tasks.configuration import registry
from tasks.errors import SettingsError
from tasks.frames.symbols import spellings
from tasks.ledger.dead_letters import DeadLetterFilter, DeadLetterStore, StoredLetter
from tasks.ledger.reader import LedgerReader
from tasks.ops.retry import Retry, RetryResult
from tasks.protocol import dead_letters
from tasks.settings import Settings, load
from tasks.telemetry.terminal import one_line

app = typer.Typer(help="List, show, retry and remove dead letters.", no_args_is_help=True)
err = command_line.Console(stderr=True)

_REASONS = ", ".join(get_args(dead_letters.Reason))
_TIME = "90s, 10m, 2h, 1d ago, or a time in UTC"

Reasons = Annotated[
    list[str] | None, typer.Option("--reason", help=f"Only of this reason ({_REASONS}) or refusal; repeatable.")
]
Strategies = Annotated[list[str] | None, typer.Option("--strategy", help="Only of this strategy; repeatable.")]
Symbols = Annotated[list[str] | None, typer.Option("--symbol", help="Only about this symbol; repeatable.")]
Since = Annotated[str, typer.Option(help=f"Written since then: {_TIME}.")]
Until = Annotated[str, typer.Option(help=f"Written until then: {_TIME}.")]
Last = Annotated[int | None, typer.Option("--last", "-n", min=0, help="Only so many of the newest.")]
Ids = Annotated[list[str] | None, typer.Argument(help="Ids, as `list` shows them; or filters instead.")]


def _chosen(
    store: DeadLetterStore,
    reasons: list[str] | None,
    strategies: list[str] | None,
    symbols: list[str] | None,
    since: str,
    until: str,
    last: int | None,
) -> DeadLetterFilter:
    # By Redis's clock: it dates the letters.
    now_ms = store.now_ms() if since or until else 0
    return DeadLetterFilter(
        frozenset(reasons or ()),
        frozenset(map(registry.carried_name, strategies or ())),
        frozenset().union(*map(spellings, symbols or ())),
        since_ms(since, now_ms) if since else 0,
        since_ms(until, now_ms, "--until") if until else None,
        last,
    )


def _named(store: DeadLetterStore, ids: Sequence[str], chosen: DeadLetterFilter) -> Iterator[StoredLetter]:
    """Yield the letters with these ids, or the selected ones. Raises SettingsError unless it is one of both."""
    if bool(ids) == (chosen != DeadLetterFilter()):
        raise SettingsError("say which: either ids, or filters such as --reason and --until 7d")
    return iter(list(store.get(ids))) if ids else store.choose(chosen)


@app.command("list")
def list_letters(
    *,
    reason: Reasons = None,
    strategy: Strategies = None,
    symbol: Symbols = None,
    since: Since = "",
    until: Until = "",
    last: Last = None,
    as_json: AsJson = False,
) -> None:
    """List refused frames, events on which a strategy raised or workers died, and unpublishable signals, oldest first.

    Example: ./run tasks deadletters list --reason strategy_error --symbol BTCUSDT --since 2h
    """
    store = DeadLetterStore(LedgerReader.reach(load()))
    out, count = command_line.Console(), 0
    for letter in store.choose(_chosen(store, reason, strategy, symbol, since, until, last)):
        count += 1
        if as_json:
            command_line.echo_json(format_dead_letters.facts(letter))
        else:
            command_line.print_line(out, Text(format_dead_letters.line(letter)))
    if not count and not as_json:
        command_line.echo("no dead letters")


@app.command()
def show(
    ids: Annotated[list[str], typer.Argument(help="Ids, as `list` shows them.")], *, as_json: AsJson = False
) -> None:
    """Show everything about dead letters: the frame or the event, and why, with the traceback."""
    for number, letter in enumerate(DeadLetterStore(LedgerReader.reach(load())).get(ids)):
        if as_json:
            command_line.echo_json(format_dead_letters.facts(letter))
        else:
            command_line.echo("\n".join([*[""] * bool(number), *format_dead_letters.whole(letter)]))


@app.command()
def drop(  # noqa: PLR0913 each argument is an option of the command line
    ids: Ids = None,
    *,
    reason: Reasons = None,
    strategy: Strategies = None,
    symbol: Symbols = None,
    since: Since = "",
    until: Until = "",
    last: Last = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove dead letters, by ids or by filters. Asks first when it is more than one. Records and states stay.

    Example: ./run tasks deadletters drop --until 7d
    """
    store = DeadLetterStore(LedgerReader.reach(load()))
    chosen = _chosen(store, reason, strategy, symbol, since, until, last)
    found = [letter.id for letter in _named(store, ids or (), chosen)]
    if len(found) > 1 and not yes:
        command_line.confirm(f"drop {len(found):,} dead letters for good?")
    command_line.echo(f"dropped {store.drop(found):,}")


@app.command()
def retry(  # noqa: PLR0913 each argument is an option of the command line
    ids: Ids = None,
    *,
    reason: Reasons = None,
    strategy: Strategies = None,
    symbol: Symbols = None,
    since: Since = "",
    until: Until = "",
    last: Last = None,
    wait_s: Annotated[float, typer.Option("--wait", min=0.1, max=600, help="Seconds to wait for the result.")] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Send frames and events through the whole path again: NATS, ingest, workers. Exit status 1 unless all are applied.

    What is applied is removed; everything else stays. The verdicts:

    applied: its record was seen to move to it
    late: its record is past it, so it would be a repeat; nothing was sent
    again: it is in the dead letters again
    unclear: its record moved past it meanwhile
    not yet: nothing was seen of it within --wait
    can't: there is no whole frame, or no pool takes it
    not tried: nothing was seen of those before it

    An event on which one strategy raised is always late: the others had it.
    A backtest with the fixed strategy says what it would have done.

    Example: ./run tasks deadletters retry --reason condemned --symbol BTCUSDT
    """
    settings = load()
    reader = LedgerReader.reach(settings)
    store = DeadLetterStore(reader)
    chosen = _chosen(store, reason, strategy, symbol, since, until, last)
    letters = _named(store, ids or (), chosen)
    counts = asyncio.run(_retry(settings, reader, letters, wait_s, as_json=as_json))
    said = ", ".join(f"{count:,} {word}" for word, count in counts.most_common())
    err.print(Text(said or "no dead letters"), soft_wrap=True)
    raise typer.Exit(int(bool(counts.total() - counts["applied"])))


async def _retry(
    settings: Settings, reader: LedgerReader, letters: Iterator[StoredLetter], wait_s: float, *, as_json: bool
) -> Counter[str]:
    counts = Counter[str]()
    nats = await connect_once(settings, "deadletters")
    try:
        async for result in Retry(settings, reader, nats, wait_s).run(letters):
            if result.word == "applied":
                DeadLetterStore(reader).drop([result.letter.id])
            counts[result.word] += 1
            _show_result(result, as_json=as_json)
    finally:
        with suppress(NatsError):
            await nats.close()
    return counts


def _show_result(result: RetryResult, *, as_json: bool) -> None:
    if as_json:
        command_line.echo_json({"id": result.letter.id, "verdict": result.word, "why": result.why})
    else:
        command_line.echo(one_line(f"{result.letter.id:<17}  {result.word:<9}  {result.why}"))
