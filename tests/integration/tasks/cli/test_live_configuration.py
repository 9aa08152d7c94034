"""`strategies get|set|kill|pause|resume|reset|history|rollback` against Redis alone: what they say."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from typer.testing import CliRunner

from tasks.cli.main import app
from tasks.configuration import registry
from tasks.configuration.revisions import revision
from tasks.errors import LedgerError, RealtimeStrategiesError, SettingsError
from tasks.ledger import LedgerKeys
from tasks.ledger.configurations import ConfigurationStore
from tasks.protocol import records
from tasks.settings import Settings
from tests.support.runtime_configuration import put_in_force

SIDED = "tests.support.workers.strategies:Sided"
FILE = f"""
[pools.trade]
kinds = ["trade"]
[pools.trade.strategies."{SIDED}"]
[pools.trade.strategies.trade_momentum]
[pools.depth]
kinds = ["depth"]
symbols = ["SOLUSDT", "BTCUSDT", "ETHUSDT", "XRPUSDT"]
[pools.depth.strategies.orderbook_skew]
levels = 5
"""


@pytest.fixture(autouse=True)
def store(
    settings: Settings, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ConfigurationStore]:
    """The file is in force, and commands run there."""
    file = tmp_path / "strategies.toml"
    file.write_text(FILE)
    with put_in_force(file, settings, redis_url, monkeypatch) as store:
        yield store


def run(*words: str) -> str:
    """Run `strategies WORDS`; return what it printed."""
    done = CliRunner().invoke(app, ["strategies", *words])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def refused(*words: str) -> str:
    with pytest.raises(RealtimeStrategiesError) as raised:
        run(*words)
    return str(raised.value)


def test_get_shows_the_revisions_that_signals_of_a_strategy_have():
    run("set", "orderbook_skew", "levels=9", "--symbol", "ETHUSDT", "--force")
    common, own = (revision(registry.create("orderbook_skew", {"levels": levels})) for levels in (5, 9))
    shown = [line.strip() for line in run("get", "orderbook_skew").splitlines() if "revision" in line]
    assert shown == [f"revision in pool depth: {common}", f"revision in pool depth for ETHUSDT: {own}"]


@pytest.fixture
def seen(client: redis.Redis, keys: LedgerKeys) -> None:
    """Have the ledger know two symbols."""
    for symbol in ("BTCUSDT", "DOGEUSDT"):
        client.hset(keys.pool("trade"), f"record:spot:{symbol}:trade", b"")


@pytest.mark.usefixtures("seen")
@pytest.mark.parametrize("symbol", ["btcusdt", "DOGEUSDT", "SOLUSDT"])
def test_a_symbol_that_came_in_or_that_the_file_names_can_be_set(symbol: str):
    assert f"symbols.{symbol.upper()}.levels: default → 7" in run(
        "set", "orderbook_skew", "levels=7", "--symbol", symbol
    )


@pytest.mark.parametrize("symbol", ["a.b", "BTC/USDT:USDT", "币安/人生", "btc_jpy", "x>*"])
def test_a_symbol_of_any_spelling_can_be_set_shown_and_taken_back(
    client: redis.Redis, keys: LedgerKeys, store: ConfigurationStore, symbol: str
):
    client.hset(keys.pool("trade"), records.named("kraken-x", symbol, "trade"), b"")
    assert f"symbols.{symbol}.levels: default → 7" in run("set", "orderbook_skew", "levels=7", "--symbol", symbol)
    assert f"symbols.{symbol}.levels: 7 → 9" in run("set", "orderbook_skew", f"symbols.{symbol}.levels=9")
    version = store.version()
    of_symbols = store.read(version).pools["depth"].strategies["orderbook_skew"].symbols
    assert {name: own.params for name, own in of_symbols.items()} == {symbol: {"levels": 9}}
    assert f"symbols.{symbol}.levels" in run("get", "orderbook_skew")
    assert f"symbols.{symbol}.levels: 9 → default" in run("set", "orderbook_skew", "levels=", "--symbol", symbol)


@pytest.mark.usefixtures("seen")
def test_a_mistyped_symbol_is_refused_with_its_near_misses_unless_forced(store: ConfigurationStore):
    mistyped = ("set", "orderbook_skew", "levels=7", "--symbol", "btcusd")
    before = store.history()
    assert "no event of a symbol BTCUSD was ever seen; did you mean BTCUSDT" in refused(*mistyped)
    unlike = refused("set", "trade_momentum", "notional=7", "--symbol", "QQQ")
    assert unlike == "no event of a symbol QQQ was ever seen; 5 symbols are known; --force sets it anyway"
    assert store.history() == before
    assert "symbols.BTCUSD.levels: default → 7" in run(*mistyped, "--force")


def test_where_nothing_came_in_yet_a_symbol_is_taken_with_a_note():
    said = run("set", "orderbook_skew", "levels=7", "--symbol", "btcusd")
    assert "nothing has come in yet: whether there is a symbol BTCUSD is not known" in said
    assert "in force: version" in said


@pytest.mark.parametrize("name", ["sided", SIDED])
def test_every_command_finds_a_strategy_by_the_name_of_its_signals(name: str):
    path = f"pools.trade.strategies.{SIDED}"
    assert f"{path}.gate.killed: default → True" in run("kill", name)
    assert f"{path}.gate.killed = True" in run("get", name)
    assert f"{path}.gate.killed: True → default" in run("revive", name)
    assert f"{path}.gate.paused: default → True" in run("pause", name)
    assert f"{path}.notional: default → 7" in run("set", name, "notional=7")
    assert f"{path}.gate.paused: True → default" in run("resume", name)
    assert f"{path}.notional: 7 → default" in run("reset", name)
    assert "Buys on even ids" in run("describe", name)


def test_a_pool_is_paused_by_its_name_and_a_name_of_neither_is_told():
    assert "pools.trade.paused: default → True" in run("pause", "trade")
    assert "pools.trade.paused: True → default" in run("resume", "trade")
    said = refused("pause", "trad")
    assert "there is no pool 'trad'; known: depth, trade; and there is no strategy 'trad'" in said


def test_what_a_breaker_switched_off_runs_again_after_resume(store: ConfigurationStore):
    store.pause_strategy("sided", "it raises", "breaker")
    assert f"{SIDED}.gate.off: True" in run("get")
    assert "gate.off: True → default" in run("resume", "sided")
    assert store.in_force().overlay == ()


def test_get_lists_what_was_set_at_run_time():
    assert "set at run time" not in run("get")
    run("set", "orderbook_skew", "levels=7")
    run("kill", "sided")
    said = run("get", "orderbook_skew")
    assert "  pools.depth.strategies.orderbook_skew.levels = 7\n" in said
    assert said.endswith("  orderbook_skew.levels: 7\n")
    assert SIDED not in said


def test_history_says_old_and_new_of_a_few_keys_and_with_diff_of_all():
    run("set", "orderbook_skew", "levels=7", "--author", "ann", "--reason", "[thin] :book:")
    values = ["notional=7", "threshold=0.5", "window=9", "min_signal_interval_s=2", "gate.killed=true"]
    run("set", "trade_momentum", *values)
    said = run("history").splitlines()
    assert said[1].endswith("  ann  [thin] :book:")
    assert said[2] == "    pools.depth.strategies.orderbook_skew.levels: 5 → 7"
    assert said[-1] == "    and 2 more: --diff"
    assert len(said) == 8
    whole = run("history", "--diff").splitlines()
    assert [line.strip() for line in whole[4:]] == [
        f"pools.trade.strategies.trade_momentum.{key}: default → {value}"
        for key, value in sorted(
            {"notional": 7, "threshold": 0.5, "window": 9, "min_signal_interval_s": 2, "gate.killed": True}.items()
        )
    ]
    of_json = [json.loads(line) for line in run("history", "--json").splitlines()]
    assert of_json[1]["changes"] == [{"key": "pools.depth.strategies.orderbook_skew.levels", "old": 5, "new": 7}]


def test_one_configuration_that_can_not_be_read_hides_no_other_change(
    client: redis.Redis, keys: LedgerKeys, store: ConfigurationStore
):
    for levels in (6, 7, 8):
        run("set", "orderbook_skew", f"levels={levels}")
    client.hset(keys.configurations, store.history()[2].version, b"{")
    said = run("history")
    assert "levels: 5 → 6" in said
    assert said.count("    the ledger can't tell what it changed\n") == 2


def test_rollback_says_what_it_undoes_and_never_puts_it_back():
    run("set", "orderbook_skew", "levels=7", "--reason", "good")
    run("set", "orderbook_skew", "levels=9", "--reason", "bad")
    first = run("rollback")
    assert "bad" in first.splitlines()[0]
    assert "levels: 9 → 7" in first
    assert "levels: 7 → 5" in run("rollback")
    assert "there is no earlier configuration" in refused("rollback")
    bad = json.loads(run("history", "--json").splitlines()[2])["version"]
    assert "levels: 5 → 9" in run("rollback", "--to", bad)
    assert "nothing to change" in run("rollback", bad)
    assert "one version only" in refused("rollback", bad, "--to", "other")
    assert "levels: 9 → 7" in run("rollback")


def test_reset_wants_a_key_or_all_and_says_what_is_set():
    assert refused("reset").startswith("say which KEY to reset, or --all")
    assert refused("reset", "levels") == "nothing is set at run time for 'levels'; nothing is set at all"
    run("set", "orderbook_skew", "levels=7")
    assert refused("reset", "levels") == "nothing is set at run time for 'levels'; set are: orderbook_skew.levels"
    assert "levels: 7 → 5" in run("reset", "pools.depth.strategies.orderbook_skew.levels")
    run("kill", "all")
    assert "gate.killed: True → default" in run("reset", "--all")


@pytest.mark.parametrize(
    ("words", "fault", "error"),
    [
        (("set", "orderbook_skew", "levels.deep=7"), "levels is a value, and no table", SettingsError),
        (("set", "orderbook_skew", "gate=7"), "gate is a table: set what is in it", SettingsError),
        (("rollback", "--to", "0123"), "the ledger holds no configuration '0123'", LedgerError),
    ],
)
def test_what_can_not_be_done_is_one_line(words: tuple[str, ...], fault: str, error: type[Exception]):
    with pytest.raises(error) as raised:
        run(*words)
    assert fault in str(raised.value)
    assert "\n" not in str(raised.value)
