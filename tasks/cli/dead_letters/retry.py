"""`./run tasks deadletters retry`: once more through the whole path."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.text import Text

from tasks.cli import command_line
from tasks.cli.command_line import AsJson
from tasks.cli.dead_letters.selection import (
    Ids,
    Last,
    Reasons,
    Since,
    Symbols,
    Until,
    chosen_letters,
    named_letters,
)
from tasks.cli.entry_listing import Strategies
from tasks.ledger.dead_letters import DeadLetterStore, StoredLetter
from tasks.ledger.reader import LedgerReader
from tasks.ops.retry import RetryResult, retried
from tasks.settings import Settings, load
from tasks.telemetry.terminal import one_line

app = typer.Typer()
err = command_line.Console(stderr=True)


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
    chosen = chosen_letters(store, reason, strategy, symbol, since, until, last)
    letters = named_letters(store, ids or (), chosen)
    counts = asyncio.run(_retry(settings, reader, letters, wait_s, as_json=as_json))
    said = ", ".join(f"{count:,} {word}" for word, count in counts.most_common())
    err.print(Text(said or "no dead letters"), soft_wrap=True)
    raise typer.Exit(int(bool(counts.total() - counts["applied"])))


async def _retry(
    settings: Settings, reader: LedgerReader, letters: Iterator[StoredLetter], wait_s: float, *, as_json: bool
) -> Counter[str]:
    counts = Counter[str]()
    async for result in retried(settings, reader, letters, wait_s):
        counts[result.word] += 1
        _show_result(result, as_json=as_json)
    return counts


def _show_result(result: RetryResult, *, as_json: bool) -> None:
    if as_json:
        command_line.echo_json({"id": result.letter.id, "verdict": result.word, "why": result.why})
    else:
        command_line.echo(one_line(f"{result.letter.id:<17}  {result.word:<9}  {result.why}"))
