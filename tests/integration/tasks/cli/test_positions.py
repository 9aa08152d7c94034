"""`python -m tasks positions` on a real ledger."""

import json
import os
import subprocess
import sys

import pytest
import redis
from typer.testing import CliRunner, Result

from tasks.cli.main import app
from tasks.ledger import LedgerKeys
from tasks.ledger.reader import LedgerReader
from tasks.paper import PaperState, SymbolAccount, state
from tasks.paper.state import OpenPosition
from tasks.settings import load
from tests.support.events import TIME_MS
from tests.support.strategies.positions import closed
from tests.support.waiting import wait_for


@pytest.fixture
def environment(redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("NAMESPACE", namespace)
    load.cache_clear()
    yield
    load.cache_clear()


def close(client: redis.Redis, keys: LedgerKeys, *symbols: str, at_ms: int | None = None, **changes: object) -> None:
    """Put closed positions into the stream, as a commit does; `at_ms` is Redis's clock."""
    for symbol in symbols:
        packed = closed(symbol=symbol, **changes).pack()
        client.xadd(keys.positions, {"position": packed}, id=f"{at_ms}-*" if at_ms else "*")


def hold(client: redis.Redis, keys: LedgerKeys, symbol: str, strategy: str, opened_ms: int = TIME_MS) -> None:
    position = OpenPosition("signal", -1, 2.0, 200.0, opened_ms, None, None, 0.1, 101.0)
    packed = state.pack(PaperState(symbols={symbol: SymbolAccount(position=position)}))
    client.hset(keys.pool("depth"), f"paper:spot:{symbol}:{strategy}", packed)


def symbols(text: str) -> list[str]:
    return [json.loads(line)["symbol"] for line in text.splitlines() if line.startswith("{")]


def asked(*words: str) -> Result:
    return CliRunner().invoke(app, ["positions", *words])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "A B C A"),
        (("--symbol", "a", "--symbol", "c"), "A C A"),
        (("--strategy", "iceberg"), "A"),
        (("--strategy", "iceberg", "--symbol", "b"), ""),
        (("--last", "2"), "C A"),
        (("--last", "1", "--symbol", "b"), "B"),
        (("--since", "1970-01-01T00:33:20"), "C A"),
    ],
)
def test_closed_positions_are_chosen_and_come_oldest_first(client, keys, environment, words, expected):
    close(client, keys, "A", "B", at_ms=1_000_000)
    close(client, keys, "C", at_ms=2_000_000)
    close(client, keys, "A", at_ms=3_000_000, strategy="iceberg")
    assert symbols(asked("--json", *words).output) == expected.split()


def test_a_line_of_json_is_the_position_as_it_was_committed(client, keys, environment):
    close(client, keys, "A")
    assert asked("--json").output.encode() == closed(symbol="A").pack() + b"\n"
    assert asked().output.split()[1:4] == ["skew", "spot", "A"]


def test_open_positions_come_from_the_accounts_with_what_they_would_leave(client, keys, environment):
    hold(client, keys, "A", "skew", TIME_MS + 1)
    hold(client, keys, "B", "iceberg")
    first, second = map(json.loads, asked("--open", "--json").output.splitlines())
    assert second == {
        "strategy": "skew", "venue": "spot", "symbol": "A", "side": "short", "quantity": 2.0, "entry_price": 100.0,
        "last_price": 101.0, "unrealised": pytest.approx(-2.1), "opened_ms": TIME_MS + 1,
    }  # fmt: skip
    assert first["symbol"] == "B"
    assert symbols(asked("--open", "--json", "--strategy", "skew").output) == ["A"]
    assert asked("--open", "--symbol", "b").output.split()[-1] == "-2.1000"


@pytest.mark.parametrize("words", [("--follow",), ("--last", "0"), ("--since", "1d")])
def test_open_ones_are_those_of_now_so_other_times_are_refused(environment, words):
    assert "--open shows what is held now" in str(asked("--open", *words).exception)


def test_the_digest_is_that_of_the_ledger(client, keys, environment, settings):
    close(client, keys, "A")
    hold(client, keys, "A", "skew")
    assert asked("--digest").output.strip() == LedgerReader(settings).positions_digest()


def test_what_is_no_position_or_no_account_is_one_clear_line(client, keys, environment):
    client.xadd(keys.positions, {"position": b"[]"})
    client.hset(keys.pool("depth"), "paper:spot:A:skew", b"\xc1")
    assert str(asked().exception).startswith("b'[]' in the position stream can't be read: ")
    client.delete(keys.positions)
    close(client, keys, "A", closed_ms=2**62)
    assert "in the position stream can't be read: " in str(asked().exception)
    assert str(asked("--open").exception).startswith("the paper accounts can't be read: ")


def test_following_prints_each_position_as_it_is_closed(client, keys, environment):
    close(client, keys, "A", "B")
    command = [sys.executable, "-m", "tasks", "positions", "--follow", "--json", "--last", "1"]
    following = subprocess.Popen(command, env=os.environ, stdout=subprocess.PIPE, text=True)
    try:
        assert following.stdout is not None
        assert symbols(following.stdout.readline()) == ["B"]
        wait_for(lambda: client.info("clients")["blocked_clients"] >= 1, "the command to wait")
        close(client, keys, "C")
        assert symbols(following.stdout.readline()) == ["C"]
    finally:
        following.kill()
        following.communicate()
