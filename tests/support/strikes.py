"""Strikes against the strategy `grumpy`, written as a worker writes them."""

import msgspec

from tasks.protocol.strikes import MAX_STRIKES, RunningBatch, Strike
from tasks.settings import Settings
from tasks.worker.run_guard import StrikeWriter
from tests.support.ledger import batch


def strike(seq: int = 2, weight: int = MAX_STRIKES, version: str = "c1", prev: int | None = None) -> Strike:
    of = msgspec.structs.replace(batch(prev), configuration=version)
    return Strike(RunningBatch.of(of, ["echo", "grumpy"]), "grumpy", seq, weight, "hung for 20 s")


async def write(settings: Settings, *strikes: Strike) -> None:
    writer = StrikeWriter(settings)
    for each in strikes:
        await writer.write(each)
    await writer.close()
