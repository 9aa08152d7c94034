"""`python -m tasks state seed` as it is called: what it puts in, says, writes down and refuses."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import redis
from typer.testing import CliRunner, Result

from compose.local.servers import HOST, free_port
from tasks import configuration
from tasks.backtest import Backtest
from tasks.cli.main import app
from tasks.configuration import Configuration
from tasks.history import recordings
from tasks.ledger import LedgerKeys
from tasks.protocol.records import unpack
from tasks.settings import load
from tests.support.ledger import dump
from tests.support.market import SKEW, SYMBOLS, write_market
from tests.support.strategies import BAD

ECHO = "tests.support.strategies:Echo"
POOLS: dict[str, Any] = {
    "depth": {"kinds": ["depth"], "strategies": {"orderbook_skew": SKEW}},
    "trade": {"kinds": ["trade"], "strategies": {"trade_momentum": {}, ECHO: {}}},
    "basket": {"kinds": ["trade"], "key": "all", "strategies": {"market_dominance": {}}},
}


def configured(pools: dict[str, Any]) -> Configuration:
    return configuration.check({"pools": pools}, "the test's file")


@pytest.fixture
def market(
    redis_url: str, client: redis.Redis, keys: LedgerKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A recording; the configuration in force is the one above, that of the file has other strategies."""
    file = tmp_path / "strategies.toml"
    file.write_text('[pools.depth]\nkinds = ["depth"]\n[pools.depth.strategies.spread_liquidity]\n')
    for name, value in {"REDIS_URL": redis_url, "NAMESPACE": keys.namespace, "STRATEGIES_FILE": str(file)}.items():
        monkeypatch.setenv(name, value)
    load.cache_clear()
    put_in_force(client, keys, POOLS)
    return write_market(tmp_path / "market.jsonl")


def put_in_force(client: redis.Redis, keys: LedgerKeys, pools: dict[str, Any]) -> None:
    chosen = configured(pools)
    client.hset(keys.configuration, "version", chosen.version)
    client.hset(keys.configurations, chosen.version, chosen.canonical())


def asked(*words: object, answer: str = "") -> Result:
    return CliRunner().invoke(app, ["state", *map(str, words)], input=answer)


def seeded(*words: object, answer: str = "") -> list[str]:
    """Return the lines that a seeding prints."""
    done = asked("seed", *words, answer=answer)
    assert done.exit_code == 0, done.output or done.exception
    return done.output.splitlines()


def states(client: redis.Redis, keys: LedgerKeys, pool: str) -> dict[str, bytes]:
    held: Any = client.hgetall(keys.pool(pool))
    return {name.decode(): packed for name, packed in held.items() if name.startswith(b"state:")}


def computed(market: Path) -> Backtest:
    done = Backtest(configured(POOLS))
    done.work(recordings.read(market))
    return done


def test_states_of_the_configuration_in_force_are_put_in(client: redis.Redis, keys: LedgerKeys, market: Path):
    assert seeded(market) == [
        "pool basket: put in 1 states and 3 records",
        "pool depth: put in 3 states and 3 records",
        "pool trade: put in 6 states and 3 records",
    ]
    for pool, fields in computed(market).ledger.fields.items():
        expected = {name: packed for name, packed in fields.items() if name.startswith("state:")}
        assert states(client, keys, pool) == expected
    held: Any = client.hget(keys.pool("depth"), "record:spot:BTCUSDT:depth")
    assert (unpack(held).count, unpack(held).applied, unpack(held).configuration) == (30, None, "")
    assert not client.exists(keys.signals, keys.counters, keys.audit)


def test_before_the_first_start_the_strategies_file_is_in_force(client: redis.Redis, keys: LedgerKeys, market: Path):
    client.delete(keys.configuration, keys.configurations)
    assert seeded(market) == ["pool depth: put in 3 states and 3 records"]
    assert f"state:spot:{SYMBOLS[0]}:spread_liquidity" in states(client, keys, "depth")


def test_it_is_written_down_who_seeded_what_from_which_files(market: Path):
    seeded(market, "--strategy", "echo", "--symbol", "btcusdt", "--author", "ann", "--reason", "new machine")
    [told] = map(json.loads, asked("history", "--json").output.splitlines())
    assert told.pop("at_ms") > 0
    assert told == {
        "pool": "trade", "strategy": "echo", "venue": "", "symbol": "btcusdt", "states": 1,
        "author": "ann", "reason": "new machine", "files": [str(market)],
    }  # fmt: skip
    [line] = asked("history").output.splitlines()
    assert line.split("  ", 1)[1] == f"trade echo btcusdt  1 states  ann  new machine  from {market}"


def test_the_same_again_changes_nothing_and_says_so(client: redis.Redis, keys: LedgerKeys, market: Path):
    seeded(market)
    before = dump(client, keys.namespace)
    assert seeded(market) == ["the ledger holds all of these already"]
    assert dump(client, keys.namespace) == before


def test_strategies_and_symbols_are_seeded_one_after_the_other(client: redis.Redis, keys: LedgerKeys, market: Path):
    seeded(market, "--strategy", ECHO, "--symbol", "BTCUSDT")
    assert list(states(client, keys, "trade")) == ["state:spot:BTCUSDT:echo"]
    assert seeded(market, "--strategy", "trade_momentum,echo") == ["pool trade: put in 5 states and 2 records"]
    assert [line.split(":")[0] for line in seeded(market)] == ["pool basket", "pool depth"]
    assert states(client, keys, "trade") == {
        name: packed for name, packed in computed(market).ledger.fields["trade"].items() if name.startswith("state:")
    }


def test_it_asks_before_it_overwrites_and_a_no_changes_nothing(client: redis.Redis, keys: LedgerKeys, market: Path):
    seeded(market, "--to", "2024-08-09T00:00:10")
    before = dump(client, keys.namespace)
    assert refusal(market).startswith("pool basket holds other records or states of these already (spot ")
    refused = asked("seed", market, "--replace", answer="n\n")
    assert (refused.exit_code, dump(client, keys.namespace)) == (1, before)
    assert "overwrite 19 records and states for good?" in refused.output
    assert seeded(market, "--replace", "--yes")[0] == "pool basket: put in 1 states and 3 records"
    assert states(client, keys, "basket").items() <= computed(market).ledger.fields["basket"].items()
    assert refusal(market, "--to", "2024-08-09T00:00:10", "--replace").startswith("pool basket has had events after")


def refusal(*words: object) -> str:
    """Return the line of a seeding that is refused."""
    refused = asked("seed", *words)
    assert refused.exit_code == 1
    line = str(refused.exception)
    assert "\n" not in line
    assert "put in " not in refused.stdout
    return line


def damaged(market: Path) -> Path:
    """Write a recording that ends in the middle."""
    file = market.with_name("cut.jsonl.gz")
    file.write_bytes(gzip.compress(market.read_bytes())[:-200])
    return file


def empty(market: Path) -> Path:
    file = market.with_name("empty.jsonl")
    file.touch()
    return file


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere.jsonl",), "nowhere.jsonl"),
        ((empty,), "there is nothing in "),
        ((damaged,), "--salvage uses what comes before"),
        ((Path, "--strategy", "orderbook_skw"), "did you mean orderbook_skew?"),
        ((Path, "--symbol", "XRPUSDT"), "no XRPUSDT in what was read; it has BTCUSDT, ETHUSDT, SOLUSDT"),
        ((Path, "--from", "2031-01-01"), "there is nothing between --from and --to in "),
    ],
)
def test_what_can_not_be_seeded_is_one_line(client: redis.Redis, keys: LedgerKeys, market: Path, words, said):
    before = dump(client, keys.namespace)
    assert said in refusal(*(word(market) if callable(word) else word for word in words))
    assert dump(client, keys.namespace) == before


def test_of_a_damaged_file_what_can_be_read_is_used_on_demand(client: redis.Redis, keys: LedgerKeys, market: Path):
    done = asked("seed", damaged(market), "--salvage")
    assert "put in 3 states" in done.stdout
    assert "damaged or cut short" in done.stderr


def test_a_strategy_that_is_switched_off_is_not_seeded(client: redis.Redis, keys: LedgerKeys, market: Path):
    off = {"kinds": ["depth"], "strategies": {"orderbook_skew": {"gate": {"off": True}}}}
    put_in_force(client, keys, {"depth": off})
    assert refusal(market, "--strategy", "orderbook_skew").startswith("orderbook_skew is switched off")
    assert refusal(market).startswith("no strategy takes anything of ")
    assert not client.exists(keys.pool("depth"))


def test_errors_of_a_strategy_in_the_recordings_are_told(client: redis.Redis, keys: LedgerKeys, market: Path):
    grumpy: dict[str, Any] = {"tests.support.strategies:Grumpy": {}}
    put_in_force(client, keys, {"trade": {"kinds": ["trade"], "strategies": grumpy}})
    market.write_text(market.read_text().replace('"q": "1"', f'"q": "{BAD}"'))
    done = asked("seed", market)
    assert done.exit_code == 0, done.exception
    assert "warning: grumpy raised on 90 events of the recordings" in done.stderr


def test_an_unavailable_redis_is_one_line_before_anything_is_read(market: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REDIS_URL", f"redis://{HOST}:{free_port()}/0")
    load.cache_clear()
    assert refusal("nowhere.jsonl").startswith("Redis does not answer at ")
