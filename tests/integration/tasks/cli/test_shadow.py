"""`shadow promote` and what else is said of shadows at run time, against Redis alone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from typer.testing import CliRunner

from tasks.cli.main import app
from tasks.configuration import registry
from tasks.engine import MemoryLedger
from tasks.errors import RealtimeStrategiesError
from tasks.ledger import LedgerKeys
from tasks.ledger.configurations import ConfigurationStore
from tasks.settings import Settings
from tests.support.runtime_configuration import put_in_force
from tests.support.strategies import trades

FILE = """
[pools.depth]
kinds = ["depth"]
[pools.depth.strategies.orderbook_skew]
[pools.depth.strategies.iceberg]
[pools.depth.shadow.orderbook_skew]
of = "orderbook_skew"
levels = 10
[pools.depth.shadow.spread_liquidity]
of = "orderbook_skew"
[pools.trade]
kinds = ["trade"]
[pools.trade.strategies."tests.support.strategies:Echo"]
[pools.trade.shadow."tests.support.strategies:Echo"]
of = "tests.support.strategies:Echo"
notional = 7
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
    done = CliRunner().invoke(app, words)
    if done.exception is not None:
        raise done.exception
    return done.stdout


def refused(*words: str) -> str:
    with pytest.raises(RealtimeStrategiesError) as raised:
        run(*words)
    return str(raised.value)


def emitting(store: ConfigurationStore) -> list[str]:
    return [each.name for each in registry.build(store.in_force().configuration)["depth"] if each.emits]


def test_a_promotion_is_an_audited_change_that_a_rollback_undoes(store: ConfigurationStore):
    before = store.version()
    assert emitting(store) == ["iceberg", "orderbook_skew"]
    said = run("shadow", "promote", "shadow~orderbook_skew", "--reason", "better", "--author", "ann")
    assert "pools.depth.shadow.orderbook_skew.emits: default → True" in said
    assert emitting(store) == ["iceberg", "shadow~orderbook_skew"]
    last = json.loads(run("strategies", "history", "--json").splitlines()[-1])
    assert (last["author"], last["reason"], last["previous"]) == ("ann", "better", before)
    assert "emits = True" in run("strategies", "get", "shadow~orderbook_skew")
    run("strategies", "rollback")
    assert (store.version(), emitting(store)) == (before, ["iceberg", "orderbook_skew"])


def test_one_version_emits_whoever_was_promoted_before(store: ConfigurationStore):
    before = store.version()
    run("shadow", "promote", "shadow~orderbook_skew")
    run("shadow", "promote", "spread_liquidity")
    assert emitting(store) == ["iceberg", "shadow~spread_liquidity"]
    assert run("shadow", "promote", "shadow~spread_liquidity") == "nothing to change\n"
    run("shadow", "promote", "orderbook_skew")
    assert (store.version(), store.in_force().overlay) == (before, ())


def test_what_can_not_be_promoted_is_told_and_changes_nothing(store: ConfigurationStore):
    assert "there is nothing to promote" in refused("shadow", "promote", "iceberg")
    assert "there is no strategy 'shadow~icebreg'" in refused("shadow", "promote", "shadow~icebreg")
    assert "there is no strategy 'icebreg'; did you mean iceberg?" in refused("shadow", "promote", "icebreg")
    store.pause_strategy("shadow~orderbook_skew", "it raises", "breaker")
    assert "is switched off" in refused("shadow", "promote", "shadow~orderbook_skew")
    assert emitting(store) == ["iceberg", "orderbook_skew"]


def test_the_breaker_switches_off_the_shadow_alone(store: ConfigurationStore):
    change = store.pause_strategy("shadow~orderbook_skew", "it raises", "breaker", "depth")
    assert change is not None
    running = registry.running(store.in_force().configuration)["depth"]
    assert [each.name for each in running] == ["iceberg", "orderbook_skew", "shadow~spread_liquidity"]
    run("strategies", "resume", "shadow~orderbook_skew")
    assert len(registry.running(store.in_force().configuration)["depth"]) == 4


def test_parameters_of_a_shadow_are_set_at_run_time_and_reset(store: ConfigurationStore):
    run("strategies", "set", "shadow~orderbook_skew", "levels=15", "--symbol", "BTCUSDT", "--force")
    shadow = store.in_force().configuration.pools["depth"].shadow["orderbook_skew"]
    assert (shadow.params, shadow.symbols["BTCUSDT"].params) == ({"levels": 10}, {"levels": 15})
    assert "unknown parameter 'levls'" in refused("strategies", "set", "shadow~orderbook_skew", "levls=15")
    run("strategies", "reset", "shadow~orderbook_skew.symbols.BTCUSDT.levels")
    assert store.in_force().overlay == ()


def test_a_second_shadow_that_would_emit_is_refused(store: ConfigurationStore):
    run("shadow", "promote", "shadow~orderbook_skew")
    assert "several of its shadows emit" in refused("strategies", "set", "shadow~spread_liquidity", "emits=true")
    assert emitting(store) == ["iceberg", "shadow~orderbook_skew"]


@pytest.fixture
def ran(store: ConfigurationStore, client: redis.Redis, keys: LedgerKeys) -> MemoryLedger:
    """What batches under the configuration in force leave behind, put into the ledger as commits do."""
    chosen, ledger = store.in_force().configuration, MemoryLedger("source")
    ledger.run("trade", trades(*range(1, 7)), registry.running(chosen)["trade"], chosen.version)
    streams = (
        (keys.audit, "line", ledger.audit),
        (keys.signals, "signal", ledger.signals),
        (keys.shadowed, "shadowed", ledger.shadowed),
    )
    for stream, field, entries in streams:
        for number, packed in enumerate(entries, start=1):
            client.xadd(stream, {field: packed}, id=f"{number}-1")
    return ledger


def total() -> dict[str, Any]:
    [found] = json.loads(run("shadow", "report", "shadow~echo", "--json"))
    return dict(found["total"])


@pytest.mark.usefixtures("ran")
def test_the_report_is_of_what_the_ledger_holds():
    assert [total()[each] for each in ("both", "only_original", "only_shadow")] == [6, 0, 0]
    assert [total()[each]["signals"] for each in ("original", "shadow")] == [6, 6]
    assert "spot   BTCUSDT  6 " in run("shadow", "report")


def test_a_commit_that_comes_meanwhile_is_left_out(ran: MemoryLedger, client: redis.Redis, keys: LedgerKeys):
    client.xadd(keys.shadowed, {"shadowed": ran.shadowed[0]}, id=f"{2**50}-0")
    client.xadd(keys.signals, {"signal": "no signal"}, id=f"{2**50}-0")
    assert total()["original"]["signals"] == total()["shadow"]["signals"] == 6


@pytest.mark.usefixtures("ran")
@pytest.mark.parametrize("name", ["signals", "shadowed"])
def test_what_a_trimmed_stream_lost_is_not_taken_for_a_difference(client: redis.Redis, keys: LedgerKeys, name: str):
    client.xtrim(getattr(keys, name), maxlen=3, approximate=False)
    assert [total()[each] for each in ("both", "only_original", "only_shadow")] == [3, 0, 0]
    assert "note: of earlier signals not all are kept" in CliRunner().invoke(app, ["shadow", "report"]).output


@pytest.mark.usefixtures("ran")
def test_an_account_that_can_not_be_read_is_one_clear_line(client: redis.Redis, keys: LedgerKeys):
    client.hset(keys.pool("trade"), "paper:spot:BTCUSDT:echo", b"garbage")
    assert "the paper accounts can't be read: " in refused("shadow", "report")


def test_a_report_without_events_says_so():
    assert "pool depth: orderbook_skew / shadow~orderbook_skew, no event yet; orderbook_skew emits" in run(
        "shadow", "report"
    )
    assert len(json.loads(run("shadow", "report", "shadow~spread_liquidity", "--json"))) == 1
    assert "--set goes with --from" in refused("shadow", "report", "--set", "iceberg.notional=7")
    assert "iceberg has no shadow" in refused("shadow", "report", "iceberg")
