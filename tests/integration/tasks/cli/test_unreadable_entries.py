"""What the commands say when somebody has written something else into Redis than we do: one line, and which entry."""

from collections.abc import Iterator

import pytest
import redis
from typer.testing import CliRunner

from tasks.cli.main import app
from tasks.errors import LedgerError
from tasks.ledger import LedgerKeys
from tasks.settings import load
from tests.support.sending import CONFIGURATION
from tests.unit.tasks.cli.test_signals import signal

NO_SIGNALS = (
    b"", b"{", b"\xff", b"[]", b"7", b"{}", b"[" * 100_000, signal(event_time_ms="soon", id="1"),
    signal(event_time_ms=None, id="1"), signal(id=1),
)  # fmt: skip
NO_CHANGES = (b"", b"{", b"\xff", b"[]", b'{"version":"1"}')


@pytest.fixture(autouse=True)
def environment(redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("NAMESPACE", namespace)
    load.cache_clear()
    yield
    load.cache_clear()


def complaint(*words: str) -> str:
    """Run a command that must fail in words; return them."""
    failed = CliRunner().invoke(app, words)
    assert isinstance(failed.exception, LedgerError), failed.exception
    assert "\n" not in str(failed.exception)
    assert len(str(failed.exception)) < 400
    return str(failed.exception)


def first(name: object) -> str:
    """Return the id of an entry that was just written."""
    assert isinstance(name, bytes)
    return name.decode()


@pytest.mark.parametrize("written", NO_SIGNALS, ids=range(len(NO_SIGNALS)))
def test_the_digest_names_the_entry_that_is_no_signal(client: redis.Redis, keys: LedgerKeys, written: bytes):
    client.xadd(keys.signals, {"signal": signal(id="1")})
    name = first(client.xadd(keys.signals, {"signal": written}))
    assert f"entry {name} of {keys.signals} can't be read" in complaint("signals", "--digest")


@pytest.mark.parametrize("words", [("--digest",), ("--json",), ()])
def test_an_entry_without_a_signal_is_named_too(client: redis.Redis, keys: LedgerKeys, words: tuple[str, ...]):
    name = first(client.xadd(keys.signals, {"other": "x"}))
    assert f"entry {name} of {keys.signals} can't be read" in complaint("signals", *words)


@pytest.mark.parametrize("written", [b"{", b"\xff", b"[]", signal(event_time_ms=10**18)], ids=range(4))
@pytest.mark.parametrize("words", [(), ("--last", "5", "--symbol", "BTCUSDT")])
def test_a_list_of_signals_says_what_is_none(
    client: redis.Redis, keys: LedgerKeys, written: bytes, words: tuple[str, ...]
):
    client.xadd(keys.signals, {"signal": written})
    assert "can't be read" in complaint("signals", *words)


@pytest.mark.parametrize("field", [b"record:spot:BTCUSDT:trade", b"record:\xff"])
def test_the_digest_names_the_record_that_is_none(client: redis.Redis, keys: LedgerKeys, field: bytes):
    client.hset(keys.pool("trade"), field, b"x")
    assert "in pool trade can't be read" in complaint("signals", "--digest")


@pytest.mark.parametrize("written", [{"change": each} for each in NO_CHANGES] + [{"other": b"x"}], ids=range(6))
@pytest.mark.parametrize("command", ["strategies", "state"])
def test_a_history_names_the_entry_that_is_none(client: redis.Redis, keys: LedgerKeys, written, command: str):
    stream = {"strategies": keys.history, "state": keys.resets}[command]
    name = first(client.xadd(stream, written))
    assert f"entry {name} of {stream} can't be read" in complaint(command, "history")


def test_a_change_at_an_impossible_time_is_one_that_can_not_be_read(client: redis.Redis, keys: LedgerKeys):
    change = b'{"version":"1","previous":"","author":"a","reason":"r","at_ms":1000000000000000000}'
    name = first(client.xadd(keys.history, {"change": change}))
    assert f"entry {name} of {keys.history} can't be read" in complaint("strategies", "history")


def test_a_rollback_without_a_history_is_refused_in_words(client: redis.Redis, keys: LedgerKeys):
    client.hset(keys.configuration, "version", CONFIGURATION.version)
    client.hset(keys.configurations, CONFIGURATION.version, CONFIGURATION.canonical())
    assert complaint("strategies", "rollback").startswith("there is no earlier configuration")
