"""`python -m tasks signals`, as a process, on a real stream."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from typer.testing import CliRunner, Result

from compose.local.processes import Instance
from compose.local.servers import free_port, start_redis
from tasks.cli.main import app
from tasks.ledger import LedgerKeys
from tasks.settings import load
from tests.support.waiting import HANGS_S, wait_for
from tests.unit.tasks.cli.test_signals import signal as packed

COMMAND = [sys.executable, "-m", "tasks", "signals"]


@pytest.fixture
def environment(redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("NAMESPACE", namespace)
    load.cache_clear()
    yield
    load.cache_clear()


def commit(client: redis.Redis, keys: LedgerKeys, *symbols: str, at_ms: int | None = None, **more: object) -> None:
    """Put signals into the stream, as a commit does; `at_ms` is Redis's clock."""
    for symbol in symbols:
        client.xadd(keys.signals, {"signal": packed(symbol=symbol, **more)}, id=f"{at_ms}-*" if at_ms else "*")


def symbols(text: str) -> list[str]:
    return [json.loads(line)["symbol"] for line in text.splitlines() if line.startswith("{")]


def reads(client: redis.Redis) -> int:
    """Return how many reads of a follower have ended."""
    return int(client.info("commandstats").get("cmdstat_xread", {}).get("calls", 0))


def asked(*words: str) -> Result:
    return CliRunner().invoke(app, ["signals", *words])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "A B C A"),
        (("--symbol", "a", "--symbol", "c"), "A C A"),
        (("--last", "2"), "C A"),
        (("--last", "0"), ""),
        (("--last", "1", "--symbol", "b"), "B"),
        (("--last", "9", "--since", "1970-01-01T00:33:20"), "C A"),
        (("--since", "1970-01-01T00:33:20"), "C A"),
        (("--since", "1d"), ""),
        (("--action", "sell"), "C"),
        (("--action", "sell", "--action", "buy", "--strategy", "iceberg"), "A"),
        (("--strategy", "iceberg_detector"), "A"),
    ],
)
def test_signals_are_chosen_by_what_they_say_and_when_they_were_committed(client, keys, environment, words, expected):
    commit(client, keys, "A", "B", at_ms=1_000_000)
    commit(client, keys, "C", at_ms=2_000_000, action="sell")
    commit(client, keys, "A", at_ms=3_000_000, strategy="iceberg")
    client.hset(keys.configuration, "aliases", '{"iceberg_detector": {"strategy": "iceberg", "signals": ["iceberg"]}}')
    assert symbols(asked("--json", *words).output) == expected.split()


def test_the_newest_are_found_behind_any_number_of_others(client, keys, environment):
    commit(client, keys, "A", "B")
    pipe = client.pipeline()
    for _ in range(2_500):
        pipe.xadd(keys.signals, {"signal": packed(symbol="OTHER")})
    pipe.execute()
    assert symbols(asked("--json", "--last", "1", "--symbol", "B").output) == ["B"]


def test_an_action_that_does_not_exist_is_refused_by_name(environment):
    assert "sell, hold, close, not short" in str(asked("--action", "short").exception)


def test_following_resumes_once_redis_is_back_and_ctrl_c_ends_it_with_130(tmp_path: Path):
    with Instance("signals") as instance:
        port = free_port()
        options = ("--appendonly", "yes", "--appendfsync", "always")
        server, url = start_redis(instance, port=port, options=options)
        client, keys = redis.Redis.from_url(url), LedgerKeys("rs")
        commit(client, keys, "A", "B")
        environment = os.environ | {"REDIS_URL": url, "NAMESPACE": "rs"}
        told, complained = tmp_path / "out", tmp_path / "err"
        with told.open("w") as out, complained.open("w") as err:
            following = subprocess.Popen(
                [*COMMAND, "--follow", "--json", "--last", "1"], env=environment, stdout=out, stderr=err
            )
        try:
            wait_for(lambda: symbols(told.read_text()) == ["B"], "the newest signal")
            commit(client, keys, "C")
            wait_for(lambda: symbols(told.read_text()) == ["B", "C"], "a new signal")
            instance.kill(server)
            wait_for(lambda: "unavailable" in complained.read_text(), "the complaint")
            start_redis(instance, port=port, options=options)
            commit(client, keys, "D")
            wait_for(lambda: symbols(told.read_text()) == ["B", "C", "D"], "the next signal")
            following.send_signal(signal.SIGINT)
            assert following.wait(HANGS_S) == 130
        finally:
            following.kill()
            following.wait()
            client.close()
    lines = complained.read_text().splitlines()
    assert [line.partition(":")[0] for line in lines] == ["Redis is unavailable", "Redis is back"]


def test_following_an_empty_stream_waits_in_redis_and_not_in_circles(client, keys, environment):
    following = subprocess.Popen([*COMMAND, "--follow", "--json"], env=os.environ, stdout=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: client.info("clients")["blocked_clients"] >= 1, "the command to wait")
        before, started_s = reads(client), time.monotonic()
        # The first of these may have begun earlier; the second is a whole one.
        wait_for(lambda: reads(client) >= before + 2, "two reads")
        assert time.monotonic() - started_s > 0.9
        commit(client, keys, "A")
        assert following.stdout is not None
        assert symbols(following.stdout.readline()) == ["A"]
    finally:
        following.kill()
        following.communicate()
