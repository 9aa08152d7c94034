"""From names to strategies."""

import subprocess
import sys
from typing import Any

import pytest

from tasks import configuration, engine
from tasks.configuration import Configuration, registry
from tasks.errors import SettingsError
from tasks.strategies.orderbook_skew import OrderbookSkew
from tasks.strategy import Params, State, Strategy
from tests.support.events import trade


class ForAll(Strategy[Params, State]):
    """Somebody's strategy, keyed by all."""

    name = "for_all"
    key = "all"

    def on_trade(self, trade: Any, state: Any) -> Any:
        raise NotImplementedError(trade, state)


class Namesake(OrderbookSkew):
    """Somebody's strategy, with a name that is taken."""


class Bare(Strategy):  # type: ignore[type-arg]  # what a beginner may forget
    name = "bare"


class Nameless(Strategy[Params, State]):
    pass


class Empty(State):
    """A state that nobody can begin with."""

    last: float


class NoBeginning(Strategy[Params, Empty]):
    name = "no_beginning"


class Unmakeable(ForAll):
    """Somebody's strategy, which ends the process that makes it."""

    def __init__(self, _: Any) -> None:
        raise SystemExit(3)


HERE = __name__
SUPPORT = "tests.support.strategies"


def pools(**strategies_by_pool: Any) -> Configuration:
    return Configuration.model_validate({"pools": strategies_by_pool})


class Own(ForAll):
    name = "own"


class Other(ForAll):
    name = "own"


TWO_POOLS = pools(
    depth={"kinds": ["depth"], "strategies": {"orderbook_skew": {}, f"{HERE}:Own": {}}},
    basket={"kinds": ["trade"], "key": "all", "strategies": {f"{HERE}:ForAll": {}, f"{HERE}:Other": {}}},
)


@pytest.mark.parametrize("name", registry.builtin_names())
def test_a_built_in_strategy_is_found_under_its_own_name(name):
    strategy = registry.create(name, {"notional": 7})
    assert strategy.name == name
    assert strategy.params.notional == 7


def test_a_foreign_strategy_is_found_by_its_import_path():
    assert registry.create(f"{HERE}:ForAll", {}).name == "for_all"


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        ("orderbok_skew", {}, "orderbok_skew: there is no such strategy; did you mean orderbook_skew?"),
        (
            "xyz",
            {},
            f"xyz: there is no such strategy; known: {', '.join(registry.builtin_names())}, or module:Class",
        ),
        ("tasks.gone:X", {}, "tasks.gone:X: can't be imported: ModuleNotFoundError: No module named 'tasks.gone'"),
        (
            f"{HERE}:Nope",
            {},
            f"{HERE}:Nope: can't be imported: AttributeError: module '{HERE}' has no attribute 'Nope'",
        ),
        (f"{HERE}:pools", {}, f"{HERE}:pools: pools is not a Strategy"),
        (f"{HERE}:Configuration", {}, f"{HERE}:Configuration: Configuration is not a Strategy"),
        (f"{HERE}:Unmakeable", {}, f"{HERE}:Unmakeable: can't be made: SystemExit: 3"),
        (f"{HERE}:Bare", {}, f"{HERE}:Bare: Bare needs a `name` and a base of Strategy[itsParams, itsState]"),
        (
            f"{HERE}:Nameless",
            {},
            f"{HERE}:Nameless: Nameless needs a `name` and a base of Strategy[itsParams, itsState]",
        ),
        (f"{HERE}:NoBeginning", {}, f"{HERE}:NoBeginning: every field of Empty needs a default"),
        (
            ":",
            {},
            f":: there is no such strategy; known: {', '.join(registry.builtin_names())}, or module:Class",
        ),
        ("orderbook_skew", {"levls": 3}, "orderbook_skew: unknown parameter 'levls'; did you mean 'levels'?"),
        (
            "orderbook_skew",
            {"levels": 0, "buy_ratio": "much"},
            ("orderbook_skew: levels: must be at least 1\norderbook_skew: buy_ratio: must be a number"),
        ),
    ],
)
def test_what_cannot_be_a_strategy_is_refused_with_a_line_for_each_fault(name, params, said):
    with pytest.raises(SettingsError) as refusal:
        registry.create(name, params)
    assert str(refusal.value) == said


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("import sys; sys.exit()", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit('mine')", "GeneratorExit: mine"),
    ],
)
def test_what_a_module_raises_on_import_is_a_fault_of_the_settings(code, said, tmp_path, monkeypatch):
    (tmp_path / "broken_strategy.py").write_text(f"{code}\n")
    monkeypatch.setenv("STRATEGIES_PATH", str(tmp_path))
    with pytest.raises(SettingsError) as refusal:
        registry.create("broken_strategy:X", {})
    assert str(refusal.value) == f"broken_strategy:X: can't be imported: {said}"


@pytest.mark.parametrize("name", ["this:X", "json:Nope", "http.server:HTTPServer", "nowhere.at_all:X"])
def test_no_module_outside_of_the_folders_is_imported(name, monkeypatch):
    module = name.partition(":")[0]
    monkeypatch.delitem(sys.modules, "this", raising=False)
    with pytest.raises(SettingsError, match=f"{name}: can't be imported: {module.partition('.')[0]} is in none of the"):
        registry.create(name, {})
    assert "this" not in sys.modules


def test_pools_get_their_strategies_by_name_whatever_order_the_file_has():
    built = registry.build(
        pools(
            trade={"kinds": ["trade"], "strategies": {"trade_momentum": {"threshold": 0.5}}},
            depth={"kinds": ["depth"], "strategies": {"spread_liquidity": {}, "orderbook_skew": {}}},
            basket={"kinds": ["trade"], "key": "all", "strategies": {f"{HERE}:ForAll": {}}},
        )
    )
    assert {pool: [strategy.name for strategy in strategies] for pool, strategies in built.items()} == {
        "trade": ["trade_momentum"],
        "depth": ["orderbook_skew", "spread_liquidity"],
        "basket": ["for_all"],
    }
    assert built["trade"][0].strategy.params.threshold == 0.5


def test_every_fault_of_every_pool_is_in_one_message():
    configuration = pools(
        depth={
            "kinds": ["depth"],
            "strategies": {
                "orderbook_skew": {},
                f"{HERE}:Namesake": {},
                "spread_liquidity": {"levels": 0, "history": 1},
                "trade_momentum": {},
            },
        },
        basket={"kinds": ["trade"], "key": "all", "strategies": {"trade_momentum": {}, "trade_momentun": {}}},
    )
    with pytest.raises(SettingsError) as refusal:
        registry.build(configuration)
    assert str(refusal.value).splitlines() == [
        "the strategies can't be used:",
        "  pool depth: spread_liquidity: history: must be at least 2",
        "  pool depth: spread_liquidity: levels: must be at least 1",
        f"  pool depth: {HERE}:Namesake: the pool already has a strategy named 'orderbook_skew'",
        "  pool depth: trade_momentum: sees nothing of the pool's events (depth)",
        "  pool basket: trade_momentum: is keyed by 'symbol', the pool by 'all'",
        "  pool basket: trade_momentun: there is no such strategy; did you mean trade_momentum?",
    ]


def test_a_strategy_is_imported_only_when_it_is_asked_for():
    code = (
        "import sys; from tasks.configuration import registry; registry.create('orderbook_skew', {});"
        "print(*sorted(name for name in sys.modules if name.startswith('tasks.strategies.')))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.split() == ["tasks.strategies.orderbook_skew"]


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ({}, {}, True),
        ({"symbols": ["BTCUSDT"]}, {"symbols": ["BTCUSDT", "ETHUSDT"]}, True),
        ({"symbols": ["BTCUSDT"]}, {"symbols": ["ETHUSDT"]}, False),
    ],
)
def test_a_strategy_runs_in_two_pools_only_if_they_share_no_events(one, other, clash):
    strategies = {"strategies": {"trade_momentum": {}}, "kinds": ["trade"]}
    configuration = pools(one={**strategies, **one}, other={**strategies, **other})
    if not clash:
        assert len(registry.build(configuration)) == 2
        return
    with pytest.raises(SettingsError, match="pool other: trade_momentum: sees the same events in pool one"):
        registry.build(configuration)


@pytest.mark.parametrize(
    ("name", "pool", "found"),
    [
        ("orderbook_skew", "", "orderbook_skew"),
        ("for_all", "", f"{HERE}:ForAll"),
        (f"{HERE}:ForAll", "", f"{HERE}:ForAll"),
        ("for_all", "basket", f"{HERE}:ForAll"),
    ],
)
def test_a_strategy_is_found_by_the_name_that_its_signals_carry(name, pool, found):
    assert registry.configured_name(TWO_POOLS, name, pool) == found


@pytest.mark.parametrize(
    ("name", "pool", "said"),
    [
        ("forall", "", "did you mean for_all?"),
        ("orderbok_skew", "", "did you mean orderbook_skew?"),
        ("for_all", "depth", "there is no strategy 'for_all' in pool 'depth'; known: "),
        ("own", "", f"is the name of several strategies; say which: {HERE}:Other, {HERE}:Own"),
    ],
)
def test_a_strategy_that_is_not_there_or_not_the_only_one_is_told(name, pool, said):
    with pytest.raises(SettingsError) as raised:
        registry.configured_name(TWO_POOLS, name, pool)
    assert said in str(raised.value)


def test_a_module_that_is_not_here_hides_no_other_strategy():
    absent = pools(
        trade={"kinds": ["trade"], "strategies": {"not_here:Gone": {}}},
        basket={"kinds": ["trade"], "key": "all", "strategies": {f"{HERE}:ForAll": {}}},
    )
    assert registry.configured_name(absent, "for_all") == f"{HERE}:ForAll"
    assert registry.configured_name(absent, "not_here:Gone") == "not_here:Gone"


@pytest.mark.parametrize("gates", [{"gate": {"off": True}}, {}])
def test_a_strategy_that_is_off_is_not_run_and_its_state_stands_still(gates: dict[str, object]):
    named = {f"{SUPPORT}:Echo": {}, f"{SUPPORT}:Grumpy": gates}
    chosen = configuration.check({"pools": {"trade": {"kinds": ["trade"], "strategies": named}}}, "it")
    events = [trade(id=n, seq=n, quantity=13.0) for n in (1, 2)]
    outcome = engine.BatchRun("trade", "source", registry.running(chosen)["trade"], "v", {}).finish(events)
    assert outcome.counts.of("errors", "grumpy") == (0 if gates else 2)
    assert ("state:spot:BTCUSDT:grumpy" in outcome.fields) == (not gates)
    assert (outcome.counts.of("signals", "echo"), outcome.counts.of("applied")) == (2, 2)
    assert [each.name for each in registry.build(chosen)["trade"]] == ["echo", "grumpy"]


def test_where_all_are_off_records_go_on_and_nothing_runs():
    tables = {"gate": {"off": True}, "pools": {"trade": {"kinds": ["trade"], "strategies": {f"{SUPPORT}:Echo": {}}}}}
    strategies = registry.running(configuration.check(tables, "it"))["trade"]
    outcome = engine.BatchRun("trade", "source", strategies, "v", {}).finish([trade(id=1, seq=1)])
    assert (list(outcome.fields), outcome.counts.of("applied")) == (["record:spot:BTCUSDT:trade"], 1)
