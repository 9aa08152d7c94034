"""What `./run ingest move-ledger` does: asks, moves, and reports."""

import asyncio

from ingest.ledger_move.mover import LedgerMover, Moved
from tasks.cli import command_line
from tasks.clients.redis_client import FAILED, reason
from tasks.errors import LedgerError
from tasks.ledger.configurations import read_file
from tasks.settings import Settings


def run(settings: Settings, old_urls: str, why: str, *, yes: bool) -> None:
    """Move the ledger from `old_urls`, or LEDGER_FROM, to the servers of the settings; ask first, unless `yes`.

    Raises SettingsError and LedgerError, also where Redis fails.
    """
    pools = read_file(settings.strategies_file).routes()
    mover = LedgerMover(settings, old_urls or settings.ledger_from, pools)
    try:
        asyncio.run(_run(mover, why, yes=yes))
    except FAILED as error:
        raise LedgerError(f"Redis: {reason(error)}; the same command goes on where this one ended") from None


async def _run(mover: LedgerMover, why: str, *, yes: bool) -> None:
    try:
        if not await mover.is_needed():
            command_line.echo(f"nothing to move: {' '.join(mover.plan.new)} is laid out as the settings say")
            return
        if not yes:
            command_line.confirm(f"move the ledger {mover.plan}?")
        _report(await mover.move(why))
    finally:
        await mover.close()


def _report(moved: Moved) -> None:
    for finding in moved.damage:
        command_line.echo(f"warning: {finding.what} {finding.says}", err=True)
    command_line.echo(
        f"moved {moved.symbols:,} symbols, {moved.fields:,} fields and {moved.signals:,} signals in {moved.seconds:.1f} s: "
        "start all shards"
    )
