"""A Redis for each shard: signals as of one process, whatever is killed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from compose.local.processes import Process
from tasks.ledger.reader import LedgerReader
from tests.support.stacks.pipeline import backtested, deadletters, digests, finish, lasting, replay
from tests.support.stacks.split_ledger import SplitStack, split


def check(stack: SplitStack, recording: Path) -> None:
    expected = backtested([recording])
    stack.end_others()
    live = finish(stack)
    assert (live.frames, live.events, live.dropped, deadletters(stack)) == (expected.frames, expected.events, {}, [])
    assert digests(live) == digests(expected)


def test_two_ledgers_hold_the_signals_of_one_process(recording: Path):
    with split() as stack:
        replay(stack, [recording], "max")
        check(stack, recording)
        reader = LedgerReader(stack.settings)
        held = [client.xlen(reader.keys.signals) for client in reader.clients]
        assert all(held), "each ledger has signals of its own"
        assert reader.counters().of("relayed") == sum(map(int, held))


def killed_by_turns(stack: SplitStack) -> Iterator[Process]:
    """Yield every process of the pipeline, again and again."""
    while True:
        yield from (stack.ledgers[1], *stack.others, stack.ingest, stack.nats, stack.workers[0], stack.ledgers[0])


@pytest.mark.ci
@pytest.mark.timeout(600)
def test_killed_ledgers_shards_and_workers_change_nothing(recording: Path):
    with split(INGEST_SOURCE="jetstream") as stack:
        stack.ingest.restart = True
        victims = killed_by_turns(stack)
        count = 0

        def kill() -> None:
            nonlocal count
            count += 1
            # About every second.
            if count % 20 == 0:
                victim = next(victims)
                stack.instance.kill(victim)
                stack.instance.start_again(victim)

        replay(stack, [recording], lasting([recording], 12), kill)
        assert count > 6 * 20, "each was killed"
        stack.ingest.restart = False
        check(stack, recording)
