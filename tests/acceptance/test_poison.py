"""An event that ends every process that touches it ends in the dead letters; everything around it is worked off."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import nats
import pytest

from compose.local.processes import Process
from compose.local.stack import Plan, Stack
from ingest.transport.flush import confirm_published
from tasks.ledger.reader import LedgerReader
from tasks.protocol import dead_letters as letters
from tests.support.stacks.pipeline import deadletters, finish, limited_plan, running
from tests.support.stacks.strategies import POISON_ID
from tests.support.waiting import wait_for

FILE = """
[pools.trade]
kinds = ["trade"]
partitions = 1
[pools.trade.strategies."tests.support.stacks.strategies:{name}"]
"""
FRAME = '{{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":{id},"p":"61837.63","q":"0.02","T":1,"m":true,"M":true}}'


class Impatient(Stack):
    """A pipeline whose ingest soon sends again what nobody committed: a poison takes seconds."""

    def _start(
        self, name: str, arguments: Sequence[str], more: Mapping[str, str] | None = None, *, restart: bool = False
    ) -> Process:
        arguments = ["-m", "tests.support.stacks.impatient"] if name == "ingest" else arguments
        return super()._start(name, arguments, more, restart=restart)


async def publish(stack: Stack, ids: Sequence[int]) -> None:
    client = await nats.connect(stack.nats_url)
    for number in ids:
        await client.publish("binance.btcusdt@trade", FRAME.format(id=number).encode())
    await confirm_published(client)
    await client.close()


def plan(tmp_path: Path, name: str, pool: str) -> Plan:
    # Memory takes a while to be used up on a slow machine: what ends it is to be its end, and not the run's limit.
    return limited_plan(tmp_path, FILE.format(name=name), 2, pool, run_limit_s=20 if name == "Hungry" else 1)


@pytest.mark.parametrize(
    ("name", "pool"),
    [
        ("Segfault", "prefork"),
        pytest.param("Endless", "solo", marks=pytest.mark.slow),
        pytest.param("Segfault", "solo", marks=pytest.mark.slow),
        pytest.param("Endless", "prefork", marks=pytest.mark.slow),
        pytest.param("Hungry", "solo", marks=pytest.mark.slow),
        pytest.param("Hungry", "prefork", marks=pytest.mark.ci),
        pytest.param("Killed", "solo", marks=pytest.mark.slow),
        pytest.param("Killed", "prefork", marks=pytest.mark.slow),
    ],
)
def test_a_deadly_event_is_a_dead_letter_and_its_neighbours_are_applied(tmp_path: Path, name: str, pool: str):
    with running(plan(tmp_path, name, pool), Impatient) as stack:
        asyncio.run(publish(stack, [POISON_ID - 1, POISON_ID, POISON_ID + 1]))
        reader = LedgerReader(stack.settings)
        wait_for(lambda: stack.instance.watch() is not None and deadletters(stack), "the dead letter", hangs_s=120)
        whole = 2 if name == "Hungry" else 3
        wait_for(lambda: stack.instance.watch() is not None and reader.counters().of("applied") == whole, "them")
        live = finish(stack)
        [letter] = map(letters.unpack, deadletters(stack))
        [(_, _, record)] = reader.records()
    # Memory that is used up is nobody's fault; else it is the strategy's error, and others are given the event.
    reason = "condemned" if name == "Hungry" else "strategy_error"
    assert (letter.reason, letter.event and letter.event.id) == (reason, POISON_ID)
    assert (record.count, record.id) == (whole, POISON_ID + 1)
    assert (live.dropped, live.repeats) == ({}, 0)
    # A child of a pool ends alone; what its neighbours were at goes on.
    assert pool == "solo" or {worker.starts for worker in stack.workers} == {1}


def test_an_event_on_which_a_strategy_raises_is_kept_with_its_traceback(tmp_path: Path):
    """The event is counted in its record like any other."""
    with running(plan(tmp_path, "Raising", "solo")) as stack:
        asyncio.run(publish(stack, range(1, 20)))
        live = finish(stack)
        [letter] = map(letters.unpack, deadletters(stack))
        [(_, _, record)] = LedgerReader(stack.settings).records()
    assert (letter.reason, letter.strategy, letter.event and letter.event.id) == (
        "strategy_error",
        "raising",
        POISON_ID,
    )
    assert "ArithmeticError: thirteen" in letter.detail
    assert (live.events, record.count) == (19, 19)
