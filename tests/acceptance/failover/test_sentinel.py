"""A Redis that Sentinels watch: its master dies in the middle, and the pipeline goes on with the next one."""

import asyncio
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from compose.local.processes import ROOT
from compose.local.servers import HOST, free_port
from compose.local.stack import Stack
from tasks.clients.redis_client import connect, connect_async
from tasks.ledger.reader import LedgerReader
from tasks.settings import Settings
from tests.support.servers.sentinel import SENTINEL_PASSWORD, SERVER_PASSWORD, WatchedServers
from tests.support.stacks.pipeline import applied_by, backtested, deadletters, digests, finish, lasting, replay
from tests.support.stacks.watched_stack import on_watched_servers
from tests.support.waiting import wait_for

pytestmark = pytest.mark.ci

SLACK = 500
WENT_BACK = "Redis went back in time"


class Failover:
    """Kills the master in the middle of a replay, and sees when events are applied again."""

    def __init__(self, stack: Stack, servers: WatchedServers, *, keep_back: int = 0) -> None:
        """`keep_back`: how many events at least are applied that no replica hears of."""
        self._reader, self._servers, self._keep_back = LedgerReader(stack.settings), servers, keep_back
        self._next: Callable[[int], bool] = self._cut_off
        #: How many were applied when the replicas were cut off, when the master was killed, and after that.
        self.cut_off = self.killed = self.after = 0
        self._killed_s = 0.0
        #: From the kill to the first event that is applied after it.
        self.recovered_s = 0.0

    def follow(self) -> None:
        """Act until it is over."""

        def over() -> bool:
            self.act()
            return bool(self.recovered_s)

        wait_for(over, "events after the failover")

    def act(self) -> None:
        with suppress(redis.RedisError):
            applied = self._reader.counters().of("applied")
            while not self.recovered_s and self._next(applied):
                pass

    def _cut_off(self, applied: int) -> bool:
        if applied < 2_000:
            return False
        if self._keep_back:
            self._servers.stop_replication()
            # On a quick machine a thousand events more were replicated before it stopped.
            applied = self._reader.counters().of("applied")
        self.cut_off, self._next = applied, self._kill
        return True

    def _kill(self, applied: int) -> bool:
        if applied < self.cut_off + self._keep_back:
            return False
        self._servers.kill_master()
        self.killed, self._killed_s, self._next = applied, time.monotonic(), self._observe
        return False

    def _observe(self, applied: int) -> bool:
        self.after = self.after or applied
        if applied > self.after:
            self.recovered_s = time.monotonic() - self._killed_s
        return False


@pytest.mark.parametrize(
    ("keep_back", "tls"),
    [
        (1_000, False),
        pytest.param(0, False, marks=pytest.mark.slow),
        pytest.param(1_000, True, marks=pytest.mark.slow),
    ],
)
def test_with_a_stream_a_failover_changes_no_signal(
    recording: Path, capsys: pytest.CaptureFixture[str], *, keep_back: int, tls: bool
):
    """This holds whatever the replicas had not heard of."""
    expected = backtested([recording])
    with on_watched_servers("jetstream", tls=tls) as (stack, servers):
        failover = Failover(stack, servers, keep_back=keep_back)
        replay(stack, [recording], "max", failover.act)
        failover.follow()
        live = finish(stack)
        log = stack.ingest.log.read_text()
        letters = deadletters(stack)
    say(capsys, failover)
    assert (WENT_BACK in log) >= bool(keep_back)
    assert (live.dropped, live.repeats, letters) == ({}, 0, [])
    assert digests(live) == digests(expected)


@pytest.mark.slow
@pytest.mark.parametrize("keep_back", [0, 1_000])
def test_without_a_stream_a_failover_loses_only_what_was_not_replicated(
    recording: Path, keep_back: int, capsys: pytest.CaptureFixture[str]
):
    expected = backtested([recording])
    with on_watched_servers("core") as (stack, servers):
        failover = Failover(stack, servers, keep_back=keep_back)
        replay(stack, [recording], lasting([recording], 17), failover.act)
        live = finish(stack)
        log = stack.ingest.log.read_text()
        applied = LedgerReader(stack.settings).counters().of("applied")
        letters = deadletters(stack)
    lost = applied_by([recording]) - applied
    say(capsys, failover, lost)
    assert (live.dropped, live.repeats, letters) == ({}, 0, [])
    assert failover.recovered_s
    # Between the last look at the old master and its end some more was applied, and some before the first at the new.
    assert failover.killed - failover.after <= lost + SLACK
    assert lost <= failover.killed - failover.cut_off + SLACK
    assert (WENT_BACK in log) >= bool(keep_back)
    assert lost or digests(live) == digests(expected)


@pytest.mark.parametrize("source", ["core", pytest.param("jetstream", marks=pytest.mark.slow)])
def test_where_a_replica_confirms_a_failover_loses_nothing_and_no_epoch(
    recording: Path, source: str, capsys: pytest.CaptureFixture[str]
):
    """Also when the master has taken commits that no replica heard of."""
    expected = backtested([recording])
    with on_watched_servers(source, LEDGER_DURABILITY="replica") as (stack, servers):
        failover = Failover(stack, servers, keep_back=1)
        replay(stack, [recording], lasting([recording], 17), failover.act)
        failover.follow()
        live = finish(stack)
        log = stack.ingest.log.read_text()
        letters = deadletters(stack)
    say(capsys, failover)
    assert WENT_BACK not in log
    assert (live.dropped, live.repeats, letters) == ({}, 0, [])
    assert digests(live) == digests(expected)


@pytest.mark.slow
@pytest.mark.parametrize("tls", [False, True])
def test_workers_and_flower_show_their_servers_but_no_password(*, tls: bool):
    with on_watched_servers("core", tls=tls) as (stack, _):
        command = [sys.executable, "-m", "celery", "-A", "tasks", "inspect", "--json", "--timeout", "5"]
        told = ""
        for question in ("stats", "conf"):
            asked = [*command, question]
            told += subprocess.run(
                asked, env=stack.environment, cwd=ROOT, check=True, capture_output=True, text=True
            ).stdout
        stack.environment["FLOWER_UNAUTHENTICATED_API"] = "true"
        url = stack.start_flower()
        workers, queues = (f"{url}/api/{what}" for what in ("workers?refresh=1", "queues/length"))
        wait_for(lambda: "worker-1" in fetched(workers), "Flower's workers")
        told += fetched(workers) + fetched(queues)
    assert "sentinel" in told
    assert '"depth"' in told
    assert SERVER_PASSWORD not in told
    assert SENTINEL_PASSWORD not in told


@pytest.mark.parametrize("scheme", ["sentinel", "sentinels"])
def test_sentinels_that_do_not_answer_are_told_in_one_line_with_the_reason(scheme: str):
    settings = Settings(redis_url=f"{scheme}://:{SERVER_PASSWORD}@{HOST}:{free_port()};{scheme}://{HOST}:{free_port()}")

    async def ask() -> None:
        async with connect_async(settings, settings.ledger, retry=None) as client:
            await client.ping()

    def said(call: Callable[[], object]) -> str:
        with pytest.raises(redis.ConnectionError) as raised:
            call()
        return str(raised.value)

    lines = [said(connect(settings, settings.ledger, retry=None).ping), said(lambda: asyncio.run(ask()))]
    for line in lines:
        assert re.fullmatch(
            r"no Sentinel names a master 'mymaster'; the first one: Error 111 connecting to [^\n]*", line
        )
        assert len(line) < 200
        assert SERVER_PASSWORD not in line


def fetched(url: str) -> str:
    with suppress(OSError), urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 a fixed scheme
        return str(response.read(), "utf-8")
    return ""


def say(capsys: pytest.CaptureFixture[str], failover: Failover, lost: int = 0) -> None:
    with capsys.disabled():
        told = f"{failover.killed} applied at the kill, {failover.after} at the new master, {lost} lost"
        print(f"\n{told}; goes on {failover.recovered_s:.1f} s after the kill")
