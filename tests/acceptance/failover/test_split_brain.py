"""A master that replicas and Sentinels no longer reach, while the pipeline does: another one takes its place."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from compose.local.stack import Stack
from tasks.ledger.reader import LedgerReader
from tests.support.servers.sentinel import MIN_REPLICAS, WatchedServers
from tests.support.stacks.pipeline import backtested, deadletters, digests, finish, lasting, replay
from tests.support.stacks.watched_stack import on_watched_servers
from tests.support.waiting import wait_for

pytestmark = pytest.mark.ci


def applied(stack: Stack) -> int:
    """Return how many events the master of the moment has; a client of its own asks who that is."""
    with suppress(redis.RedisError):
        return LedgerReader(stack.settings).counters().of("applied")
    return 0


class SplitBrain:
    """Cuts the master off in the middle of a replay, and lets it in once the pipeline goes on without it."""

    def __init__(self, stack: Stack, servers: WatchedServers) -> None:
        self._stack, self._servers = stack, servers
        self._next: Callable[[], bool] = self._cut_off
        self._old = self._resumed_at = 0
        self.over = False

    def act(self) -> bool:
        """Do what is next, when it is time; return whether it is over."""
        while not self.over and self._next():
            pass
        return self.over

    def _cut_off(self) -> bool:
        if applied(self._stack) < 2_000:
            return False
        self._old, self._next = self._servers.cut_off_master(), self._replaced
        return True

    def _replaced(self) -> bool:
        if not self._servers.has_failed_over(self._old):
            return False
        self._resumed_at, self._next = applied(self._stack), self._resumed
        return True

    def _resumed(self) -> bool:
        if applied(self._stack) <= self._resumed_at:
            return False
        self._servers.let_in(self._old)
        self.over = True
        return True


@pytest.mark.parametrize(
    ("source", "durability"),
    [
        pytest.param("core", "replica", marks=pytest.mark.slow),
        pytest.param("jetstream", "memory", marks=pytest.mark.slow),
        pytest.param("jetstream", "replica", marks=pytest.mark.slow),
    ],
)
def test_a_master_that_is_cut_off_is_left_and_nothing_is_lost(recording: Path, source: str, durability: str):
    expected = backtested([recording])
    with on_watched_servers(source, options=MIN_REPLICAS, LEDGER_DURABILITY=durability) as (stack, servers):
        split = SplitBrain(stack, servers)
        replay(stack, [recording], lasting([recording], 17), split.act)
        wait_for(split.act, "events at the next master, while the old one is cut off")
        live = finish(stack)
        letters = deadletters(stack)
    assert (live.dropped, live.repeats, letters) == ({}, 0, [])
    assert digests(live) == digests(expected)
