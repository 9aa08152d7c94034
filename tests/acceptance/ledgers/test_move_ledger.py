"""A ledger that moves to one Redis for each shard and back, in the middle of a feed: signals as if it had stayed."""

from pathlib import Path

import pytest

from compose.local.stack import Stack
from tests.support.stacks.moving import MovingLedger, moving
from tests.support.stacks.pipeline import backtested, deadletters, digests, finish, lasting, replay


def check(stack: Stack, recording: Path) -> None:
    expected = backtested([recording])
    live = finish(stack)
    assert (live.frames, live.events, live.dropped, deadletters(stack)) == (expected.frames, expected.frames, {}, [])
    assert digests(live) == digests(expected)


def split_and_join(stack: Stack, ledger: MovingLedger, recording: Path, *, kill: bool) -> None:
    """Replay a recording, and move the ledger after a third and after two thirds of it."""
    frames = backtested([recording]).frames
    wanted = [(frames // 3, ledger.two), (frames * 2 // 3, ledger.one)]

    def change() -> None:
        if wanted and ledger.frames() >= wanted[0][0]:
            ledger.move(wanted.pop(0)[1], kill=kill)

    replay(stack, [recording], lasting([recording], 9), change)
    while wanted:
        stack.instance.watch()
        change()


@pytest.mark.slow
@pytest.mark.parametrize("kill", [True, False], ids=["killed", "stopped"])
def test_a_ledger_that_moves_under_a_stream_changes_no_signal(recording: Path, *, kill: bool):
    with moving("jetstream") as (stack, ledger):
        split_and_join(stack, ledger, recording, kill=kill)
        check(stack, recording)
