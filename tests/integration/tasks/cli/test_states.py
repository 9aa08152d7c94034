"""`python -m tasks state`: what it shows of a real ledger, and what it removes."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import redis
from typer.testing import CliRunner, Result

from tasks import configuration
from tasks.cli.main import app
from tasks.configuration.gate import OPEN
from tasks.engine import strategy_run
from tasks.events import AnyEvent
from tasks.fatal_errors import is_fatal
from tasks.ledger import LedgerKeys
from tasks.protocol import checksum, records
from tasks.settings import load
from tests.support.events import TIME_MS, book, trade
from tests.support.strategies import Echo, Together, Warming, Worker

EVENTS: dict[str, tuple[AnyEvent, ...]] = {
    "trade": (trade(id=3), trade(id=7, seq=2), trade(symbol="ETHUSDT", seq=3), trade(symbol="ETHUSDT", id=2, seq=4)),
    "depth": (book(), book(venue="usdm", seq=2)),
}
CONFIGURATION = configuration.check(
    {"pools": {"trade": {"kinds": ["trade"], "strategies": {"tests.support.strategies:Warming": {}}}}}, "here"
)


@pytest.fixture
def pools(redis_url: str, client: redis.Redis, keys: LedgerKeys, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A ledger after a few events in two pools."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("NAMESPACE", keys.namespace)
    load.cache_clear()
    for pool, strategies in {"trade": (Echo, Warming), "depth": (Echo, Together)}.items():
        worker = Worker(*(each.create({}) for each in strategies))
        worker.run(EVENTS[pool])
        held: Any = worker.held
        client.hset(keys.pool(pool), mapping=held | {"lane:0": "s@4"})
    client.hset(keys.configuration, "version", CONFIGURATION.version)
    client.hset(keys.configurations, CONFIGURATION.version, CONFIGURATION.canonical())
    yield
    load.cache_clear()


def asked(*words: str, answer: str = "") -> Result:
    return CliRunner().invoke(app, ["state", *words], input=answer)


def shown(*words: str) -> list[str]:
    """Return the names of what is shown, and check that JSON shows the same."""
    table = [" ".join(line.split()[:4]) for line in asked("show", *words).output.splitlines()[1:]]
    objects = map(json.loads, asked("show", "--json", *words).output.splitlines())
    named = [f"{o['pool']} {o['venue']} {o['symbol']} {o.get('kind') or o['strategy']}" for o in objects]
    assert sorted(named) == sorted(table)
    return table


ALL = [
    "depth spot BTCUSDT depth", "depth spot BTCUSDT echo", "depth spot all together",
    "depth usdm BTCUSDT depth", "depth usdm BTCUSDT echo", "depth usdm all together",
    "trade spot BTCUSDT trade", "trade spot BTCUSDT echo", "trade spot BTCUSDT warming",
    "trade spot ETHUSDT trade", "trade spot ETHUSDT echo", "trade spot ETHUSDT warming",
]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), ALL),
        (("--pool", "depth", "--venue", "usdm"), ALL[3:6]),
        (("--symbol", "ethusdt"), ALL[9:]),
        (("--symbol", "all"), [ALL[2], ALL[5]]),
        (("--strategy", "echo", "--venue", "spot"), [ALL[1], ALL[7], ALL[10]]),
        (("--strategy", "tests.support.strategies:Echo", "--venue", "usdm"), [ALL[4]]),
        (("--strategy", "trade"), []),
        (("--symbol", "*"), []),
    ],
)
def test_records_and_states_are_chosen_by_pool_venue_symbol_and_strategy(pools, words, expected):
    assert shown(*words) == expected


def test_the_table_says_how_far_a_record_is_and_how_warm_a_state(pools):
    lines = asked("show", "--symbol", "BTCUSDT", "--pool", "trade").output.splitlines()
    assert len(lines) == 4
    record, echo, warming = (line.split(maxsplit=6) for line in lines[1:])
    assert (record[4], record[6]) == ("2", "last 2024-08-09 00:00:00, id 7, ids jumped over 3")
    assert (echo[4], echo[6]) == ("2", "version 1")
    assert (warming[4], warming[6]) == ("2", "version 1, warms up: 2 of 3")
    assert lines[0].index("events") + len("events") == lines[1].index(" 2 ") + 2


def test_json_tells_what_a_state_holds(pools):
    [told] = map(json.loads, asked("show", "--json", "--strategy", "echo", "--symbol", "ETHUSDT").output.splitlines())
    assert (told["seen"], told["version"], told["state"]["ids"]) == (2, 1, [1, 2])
    [record] = map(json.loads, asked("show", "--json", "--symbol", "ETHUSDT").output.splitlines()[:1])
    assert (record["count"], record["applied"], record["time_ms"]) == (2, "s@4", TIME_MS)


def test_what_can_not_be_read_is_shown_as_such_and_hides_nothing_else(client: redis.Redis, keys: LedgerKeys, pools):
    late = records.pack(records.Record(count=1, time_ms=2**62))
    unreadable: Any = {"state:spot:BTCUSDT:bad": b"\xc1", "record:spot:BAD:trade": b"x", "record:spot:LATE:trade": late}
    client.hset(keys.pool("bad"), mapping=unreadable | {"record:spot": b"", "state:\x1b[2J:X:y": b"x"})
    lines = asked("show", "--pool", "bad").output.splitlines()
    assert [line.count("can't be read") for line in lines] == [0, 1, 1, 1, 0]
    assert lines[-1].endswith(f"last {2**62}"), "no time, but all that there is"
    assert "\x1b" not in "".join(lines)
    assert len(asked("show").output.splitlines()) == 1 + len(ALL) + 4
    assert asked("show", "--json", "--pool", "bad").output.count('"unreadable"') == 3


def test_where_there_is_nothing_it_says_so(pools):
    assert "no such record or state" in asked("show", "--pool", "dept").output


def left(client: redis.Redis, keys: LedgerKeys, pool: str) -> list[str]:
    fields: Any = client.hkeys(keys.pool(pool))
    return sorted(field.decode() for field in fields if field.startswith(b"state:"))


def test_a_reset_removes_the_states_that_were_chosen_and_says_which(client: redis.Redis, keys: LedgerKeys, pools):
    others: Any = client.hget(keys.pool("trade"), "record:spot:ETHUSDT:trade")
    done = asked("reset", "echo", "--symbol", "ethusdt", "--yes", "--author", "ann", "--reason", "bad prices")
    assert done.output == "pool trade: removed 1\n"
    assert left(client, keys, "trade") == [
        "state:spot:BTCUSDT:echo", "state:spot:BTCUSDT:warming", "state:spot:ETHUSDT:warming",
    ]  # fmt: skip
    assert client.hget(keys.pool("trade"), "record:spot:ETHUSDT:trade") == others
    assert client.hget(keys.pool("trade"), "lane:0") == b"s@4"
    assert asked("reset", "echo", "--yes").output == "pool depth: removed 2\npool trade: removed 1\n"
    first = asked("history").output.splitlines()[0]
    assert first.split("  ", 1)[1] == "trade echo ETHUSDT  1 states  ann  bad prices"
    told = [json.loads(line) for line in asked("history", "--json").output.splitlines()]
    assert [(each["pool"], each["symbol"], each["states"]) for each in told] == [
        ("trade", "ETHUSDT", 1), ("depth", "", 2), ("trade", "", 1),
    ]  # fmt: skip


def test_a_reset_asks_first_and_a_no_changes_nothing(client: redis.Redis, keys: LedgerKeys, pools):
    before = left(client, keys, "depth")
    refused = asked("reset", "together", answer="n\n")
    assert (refused.exit_code, left(client, keys, "depth")) == (1, before)
    assert "remove 2 states of together (spot all, usdm all) for good?" in refused.output
    assert asked("history").output == "no state was ever reset, seeded or pruned\n"
    assert asked("reset", "together", answer="y\n").output.endswith("pool depth: removed 2\n")
    assert left(client, keys, "depth") == ["state:spot:BTCUSDT:echo", "state:usdm:BTCUSDT:echo"]


@pytest.mark.parametrize("words", [("eco",), ("trade",), ("echo", "--symbol", "XRPUSDT"), ("*",)])
def test_a_state_that_does_not_exist_is_not_reset_in_silence(client: redis.Redis, keys: LedgerKeys, pools, words):
    failed = asked("reset", *words, "--yes")
    assert failed.exit_code == 1
    assert "no such state" in str(failed.exception)
    assert not client.exists(keys.resets)


def test_a_state_of_a_newer_release_can_be_reset_and_is_shown_as_one(client: redis.Redis, keys: LedgerKeys, pools):
    packed = strategy_run.StrategyRun(Warming.create({}), OPEN, None, "c1", is_fatal).pack()
    _version, *saved, _checksum = msgspec.msgpack.decode(packed)
    newer = checksum.seal(msgspec.msgpack.encode([9, *saved]))
    client.hset(keys.pool("trade"), "state:spot:BTCUSDT:warming", newer)
    assert asked("show", "--strategy", "warming").output.count("newer than this release's 1") == 1
    assert asked("reset", "warming", "--symbol", "BTCUSDT", "--yes").exit_code == 0
    assert "state:spot:BTCUSDT:warming" not in left(client, keys, "trade")


ODD = ["BTC/USDT:USDT", "币安/人生", "a.b", "A.B", "A-B_C", "x>*", "%2F", "é[1]?"]


def test_symbols_of_any_spelling_are_told_apart_shown_and_reset(client: redis.Redis, keys: LedgerKeys, pools):
    worker = Worker(Echo.create({}))
    worker.run([trade(symbol=symbol, venue="kraken-x", seq=seq) for seq, symbol in enumerate(ODD, start=1)])
    odd: Any = worker.held
    client.hset(keys.pool("odd"), mapping=odd)
    assert {field.count(":") for field in odd} == {3}
    assert sorted(shown("--pool", "odd")) == sorted(
        f"odd kraken-x {symbol} {what}" for symbol in ODD for what in ("trade", "echo")
    )
    for symbol in ODD:
        assert f"odd kraken-x {symbol} echo" in shown("--symbol", symbol, "--venue", "kraken-x")
    for count, symbol in enumerate(ODD, start=1):
        assert asked("reset", "echo", "--symbol", symbol, "--yes").output == "pool odd: removed 1\n"
        assert len(shown("--pool", "odd", "--strategy", "echo") if count < len(ODD) else []) == len(ODD) - count
    assert [json.loads(line)["symbol"] for line in asked("history", "--json").output.splitlines()] == ODD


def test_records_of_a_symbol_are_reset_and_listed(pools: None, client: redis.Redis, keys: LedgerKeys):
    for words, said in (
        (("--records",), "--records takes a --symbol, and no strategy"),
        (("echo", "--records", "--symbol", "ETHUSDT"), "--records takes a --symbol, and no strategy"),
        (("--records", "--symbol", "XRPUSDT"), "there is no such record of 'XRPUSDT'"),
        ((), "name a strategy, or give --records and --symbol"),
    ):
        assert said in str(asked("reset", *words).exception)
    done = asked("reset", "--records", "--symbol", "ethusdt", "--reason", "forged", answer="y\n")
    assert "let the next event of ETHUSDT be new (trade spot trade)?" in done.output
    assert done.output.endswith("records reset: 1\n")
    packed: Any = client.hget(keys.pool("trade"), "record:spot:ETHUSDT:trade")
    assert records.unpack(packed).id == records.NO_LAST_ID
    assert "trade records ETHUSDT" in asked("history").output
