"""The report on shadows: a known change of a parameter makes the difference of two backtests, exactly."""

import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tasks import configuration
from tasks.backtest import parallel, shadow_report
from tasks.backtest.shadow_report import ComparedRun, RunningPool, ShadowDifference
from tasks.cli.shadow.commands import of_backtest
from tasks.configuration import Configuration, audit, overlay, registry, shadows
from tasks.engine import MemoryLedger
from tasks.paper import closed_position, read_accounts
from tasks.protocol import shadowed
from tasks.scoring.forward_returns import read_signals
from tasks.scoring.signal_statistics import summarize
from tests.support.strategies import trades

CHANGE = {"levels": 10, "min_signal_interval_s": 2}
ECHO = "tests.support.strategies:Echo"


def configured(params: dict[str, Any], **more: Any) -> Configuration:
    depth = {"kinds": ["depth"], "strategies": {"orderbook_skew": params}, **more}
    return configuration.check({"paper": {"latency_ms": 50}, "pools": {"depth": depth}}, "it")


@cache
def finished(recording: Path, chosen: str) -> parallel.FinishedBacktest:
    return parallel.run(parallel.BacktestJob([recording], Configuration.parse(chosen.encode()), watch=True))


def run(recording: Path, chosen: Configuration) -> parallel.FinishedBacktest:
    return finished(recording, chosen.canonical().decode())


@pytest.fixture
def plain(opening: Path) -> parallel.FinishedBacktest:
    return run(opening, configured({}))


@pytest.fixture
def changed(opening: Path) -> parallel.FinishedBacktest:
    return run(opening, configured(CHANGE))


@pytest.fixture
def both(opening: Path) -> parallel.FinishedBacktest:
    return run(opening, shadowing())


def shadowing() -> Configuration:
    return configured({}, shadow={"orderbook_skew": {"of": "orderbook_skew", **CHANGE}})


def without(packed: bytes, *names: str) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.json.decode(packed)
    return {name: value for name, value in fields.items() if name not in names}


def without_version(packed: bytes) -> dict[str, Any]:
    return without(packed, "config_version", "strategy")


def positions(ledger: MemoryLedger, strategy: str) -> list[dict[str, Any]]:
    mine = (each for each in ledger.positions if closed_position.unpack(each).strategy == strategy)
    # An id is that of a strategy's position.
    return [without(each, "config_version", "strategy", "id") for each in mine]


def accounts(ledger: MemoryLedger, strategy: str) -> list[Any]:
    found = read_accounts(ledger.accounts())
    return [(each.venue, each.symbol, each.account) for each in found if each.strategy == strategy]


def test_both_versions_say_and_earn_what_each_does_by_itself(plain, changed, both):
    said = list(map(shadowed.unpack, both.ledger.shadowed))
    assert both.result.digest == plain.result.digest != changed.result.digest
    assert {each.version for each in said} == {"shadow~orderbook_skew"}
    assert [without_version(bytes(each.signal)) for each in said] == list(map(without_version, changed.signals))
    for strategy, alone in (("orderbook_skew", plain), ("shadow~orderbook_skew", changed)):
        assert positions(both.ledger, strategy) == positions(alone.ledger, "orderbook_skew") != []
        assert accounts(both.ledger, strategy) == accounts(alone.ledger, "orderbook_skew") != []


def answers(run: parallel.FinishedBacktest) -> set[str]:
    return {msgspec.json.decode(each)["id"] for each in run.signals}


def test_the_difference_is_that_of_two_backtests(plain, changed, both):
    [found] = shadow_report.report(of_backtest(both, shadowing()))
    ids = answers(plain), answers(changed)
    total = found.total
    assert (total.both, total.only_original, total.only_shadow) == tuple(
        map(len, (ids[0] & ids[1], ids[0] - ids[1], ids[1] - ids[0]))
    )
    assert min(total.both, total.only_original, total.only_shadow) > 0
    for figures, alone in ((total.original, plain), (total.shadow, changed)):
        closed = list(map(closed_position.unpack, alone.ledger.positions))
        held = [each.account.position for each in read_accounts(alone.ledger.accounts()) if each.account.position]
        assert (figures.signals, figures.positions) == (len(alone.signals), len(closed))
        assert figures.hit_rate == sum(each.pnl > 0 for each in closed) / len(closed)
        assert figures.pnl == math.fsum(each.pnl for each in closed)
        assert figures.unrealised == math.fsum(each.unrealised for each in held)
        returns = summarize(read_signals(alone.signals), alone.market.series).returns
        assert figures.returns is not None
        assert [each and tuple(msgspec.structs.astuple(each)) for each in figures.returns.values()] == list(returns)


def test_rows_add_up_to_the_total(both):
    [found] = shadow_report.report(of_backtest(both, shadowing()))
    assert (found.pool, found.original, found.shadow) == ("depth", "orderbook_skew", "shadow~orderbook_skew")
    assert found.emits == "orderbook_skew"
    assert len(found.rows) > 1
    for count in ("both", "only_original", "only_shadow"):
        assert sum(getattr(row, count) for row in found.rows) == getattr(found.total, count)
    assert sum(row.shadow.signals for row in found.rows) == found.total.shadow.signals


def test_symbols_spread_over_processes_make_the_same_report(opening, both):
    chosen = shadowing()
    spread = parallel.run(parallel.BacktestJob([opening], chosen, watch=True), 2)
    assert shadow_report.report(of_backtest(spread, chosen)) == shadow_report.report(of_backtest(both, chosen))


# Changes of the configuration in a run


class ChangingRun:
    """Batches under one configuration after the other, as a live run has them."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger("test")
        self.known: dict[str, Configuration] = {}
        self._start = 1

    def under(self, chosen: Configuration, events: int = 3) -> None:
        self.known[chosen.version] = self.last = chosen
        batch = trades(*[1.0] * events, start=self._start)
        self._start += events
        self.ledger.run("trade", batch, registry.running(chosen)["trade"], chosen.version)

    def report(self, **more: Any) -> list[ShadowDifference]:
        lines = [audit.read_line(line) for line in self.ledger.audit]
        pools = {version: list(_pools(chosen)) for version, chosen in self.known.items()}
        signals, said, closed = self.ledger.signals, self.ledger.shadowed, self.ledger.positions
        held = read_accounts(self.ledger.accounts())
        return shadow_report.report(ComparedRun(pools, self.last.version, lines, signals, said, closed, held, **more))


def _pools(chosen: Configuration) -> Iterator[RunningPool]:
    running = registry.running(chosen)
    return (RunningPool(pool, running[pool.name]) for pool in chosen.routes())


def trading(shadow: dict[str, Any]) -> Configuration:
    trade = {"kinds": ["trade"], "strategies": {ECHO: {}}, "shadow": shadow}
    return configuration.check({"pools": {"trade": trade}}, "it")


SHADOW = trading({ECHO: {"of": ECHO, "notional": 7}})


def test_only_what_came_since_both_run_is_compared():
    run = ChangingRun()
    for chosen in (trading({}), SHADOW, trading({ECHO: {"of": ECHO, "gate": {"off": True}}}), SHADOW):
        run.under(chosen)
    [found] = run.report()
    assert (found.total.original.signals, found.total.shadow.signals, found.total.both) == (3, 3, 3)
    assert len(run.ledger.signals) == 12
    assert found.began_ms == msgspec.json.decode(run.ledger.signals[-3])["event_time_ms"]


def test_a_promotion_changes_who_emits_and_not_whose_the_signals_are():
    run, promoted = ChangingRun(), overlay.applied(SHADOW, shadows.promoted(SHADOW, f"shadow~{ECHO}"))
    run.under(SHADOW, 2)
    run.under(promoted, 3)
    [found] = run.report()
    assert found.emits == "shadow~echo"
    assert (found.total.original.signals, found.total.shadow.signals, found.total.both) == (5, 5, 5)
    quantities = [msgspec.json.decode(each)["quantity"] for each in run.ledger.signals]
    assert quantities[0] == quantities[1] != quantities[2] == quantities[3]


def test_what_is_older_than_what_a_trimmed_stream_keeps_is_left_out():
    run = ChangingRun()
    run.under(SHADOW, 5)
    kept_since_ms = msgspec.json.decode(run.ledger.signals[2])["event_time_ms"]
    [found] = run.report(kept_since_ms=kept_since_ms)
    assert (found.total.original.signals, found.total.shadow.signals) == (3, 3)


def test_without_events_and_without_shadows_there_is_nothing_to_compare():
    run = ChangingRun()
    run.under(trading({}))
    assert run.report() == []
    run.known[SHADOW.version] = run.last = SHADOW
    [found] = run.report()
    assert (found.began_ms, found.rows, found.total.original.signals) == (None, [], 0)


def test_a_backtest_without_a_market_has_no_returns(opening):
    without = parallel.run(parallel.BacktestJob([opening], shadowing()))
    [found] = shadow_report.report(of_backtest(without, shadowing()))
    assert (found.total.original.returns, found.total.shadow.signals > 0) == (None, True)
