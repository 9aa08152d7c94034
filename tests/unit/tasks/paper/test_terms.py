"""What the `paper` tables of a strategies file come to."""

from typing import Any

import pytest

from tasks.configuration import registry
from tasks.configuration.model import Configuration, check
from tasks.configuration.overlay import RuntimeValue, applied, of_strategy
from tasks.errors import SettingsError
from tasks.paper import PaperTable, PaperTerms, resolve
from tasks.paper.terms import DEFAULT_FEES, VenueFees


def configuration(paper: Any = None, own: Any = None, of_symbol: Any = None) -> Configuration:
    strategy: dict[str, Any] = {"levels": 5}
    if own is not None:
        strategy["paper"] = own
    if of_symbol is not None:
        strategy["symbols"] = {"BTCUSDT": {"levels": 7, "paper": of_symbol}}
    tables: dict[str, Any] = {"pools": {"depth": {"kinds": ["depth"], "strategies": {"orderbook_skew": strategy}}}}
    return check(tables | ({} if paper is None else {"paper": paper}), "the test")


def terms(configured: Configuration, symbol: str = "ETHUSDT") -> PaperTerms | None:
    [bound] = registry.build(configured)["depth"]
    return bound.paper.for_symbol(symbol) if bound.paper else None


def test_without_a_table_there_is_no_account():
    assert terms(configuration()) is None


def test_an_empty_table_opens_an_account_on_the_defaults():
    assert terms(configuration({})) == PaperTerms(50.0, 1.0, None, DEFAULT_FEES)


def test_a_symbols_table_goes_before_its_strategys_and_the_common_one():
    configured = configuration(
        {"latency_ms": 10, "slippage_bps": 2}, {"latency_ms": 20}, {"latency_ms": 50, "max_holding_s": 60}
    )
    of_others, of_symbol = terms(configured), terms(configured, "BTCUSDT")
    assert of_others is not None
    assert of_symbol is not None
    assert (of_others.latency_ms, of_others.slippage_bps, of_others.max_holding_s) == (20, 2, None)
    assert (of_symbol.latency_ms, of_symbol.slippage_bps, of_symbol.max_holding_s) == (50, 2, 60)


def test_a_strategy_or_a_symbol_can_be_left_out_or_taken_in():
    assert terms(configuration({}, {"enabled": False})) is None
    assert terms(configuration({}, {}, {"enabled": False}), "BTCUSDT") is None
    assert terms(configuration(None, {})) is not None
    alone = configuration(None, {"enabled": False}, {"enabled": True})
    assert (terms(alone), terms(alone, "BTCUSDT") is None) == (None, False)


def test_one_fee_can_differ_and_the_others_stay():
    said = resolve([PaperTable.model_validate({"fees_bps": {"usdm": {"taker": 4}, "kraken": {"maker": -1}}})])
    assert said is not None
    assert (said.fees("usdm"), said.fees("kraken")) == (VenueFees(2.0, 4.0), VenueFees(-1.0, 10.0))
    assert (said.fees("spot"), said.fees("elsewhere")) == (VenueFees(10.0, 10.0), VenueFees(10.0, 10.0))


def test_what_makes_no_sense_is_refused_with_the_whole_list():
    with pytest.raises(SettingsError) as refused:
        configuration(
            {"latency_ms": -1, "slippage_bps": float("nan"), "delay": 3, "fees_bps": {"spot": {"taker": 1e9}}},
            {"max_holding_s": 0},
        )
    for nonsense in (
        {"latency_ms": True},
        {"slippage_bps": "3"},
        {"enabled": "yes"},
        {"fees_bps": {"spot": {"taker": -1.0}}},
        {"fees_bps": {"a:b c": {"taker": 1.0}}},
    ):
        with pytest.raises(SettingsError):
            configuration(nonsense)
    for place in ("paper.latency_ms", "paper.slippage_bps", "paper.delay", "spot.taker", "max_holding_s"):
        assert place in str(refused.value)


@pytest.mark.parametrize("paper", [None, {}, {"latency_ms": 50.0}, {"fees_bps": {"spot": {"taker": 5.0}}}])
def test_stored_terms_come_back_and_no_account_keeps_the_version_of_before(paper: Any):
    configured = configuration(paper, paper, paper)
    assert Configuration.parse(configured.stored()) == configured
    assert (b"paper" in configured.canonical()) == (paper is not None)


@pytest.mark.parametrize(
    ("assigned", "symbol", "expected"),
    [
        ({"paper.latency_ms": 80}, "", (80, 80)),
        ({"paper.latency_ms": 80}, "BTCUSDT", (50, 80)),
        ({"symbols.BTCUSDT.paper.latency_ms": 80}, "", (50, 80)),
    ],
)
def test_terms_change_at_run_time_for_a_strategy_and_a_symbol(
    assigned: dict[str, Any], symbol: str, expected: tuple[float, float]
):
    changed = applied(configuration({}), of_strategy("orderbook_skew", assigned, symbol=symbol))
    found = terms(changed), terms(changed, "BTCUSDT")
    assert tuple(each.latency_ms for each in found if each) == expected


def test_terms_change_for_all_strategies_and_go_back_to_the_default():
    changed = applied(configuration({"slippage_bps": 3}), of_strategy("all", {"paper.slippage_bps": 9}))
    assert (found := terms(changed)) is not None
    assert found.slippage_bps == 9
    back = applied(configuration({"slippage_bps": 3}), of_strategy("all", {"paper.slippage_bps": None}))
    assert (found := terms(back)) is not None
    assert found.slippage_bps == 1


def test_a_fee_is_set_by_its_path_and_a_whole_table_is_refused():
    [value] = of_strategy("orderbook_skew", {"paper.fees_bps.usdm.taker": 3.5})
    assert value == RuntimeValue("orderbook_skew", "", "", "paper.fees_bps.usdm.taker", 3.5)
    assert (found := terms(applied(configuration({}), [value]))) is not None
    assert found.fees("usdm") == VenueFees(2.0, 3.5)
    with pytest.raises(SettingsError, match="is a table"):
        of_strategy("orderbook_skew", {"paper": 1})


def test_a_strategy_keyed_by_all_can_have_terms_for_a_symbol():
    own = {"market_dominance": {"symbols": {"ETHUSDT": {"paper": {"latency_ms": 5}}}}}
    basket = {"kinds": ["trade"], "key": "all", "symbols": ["BTCUSDT", "ETHUSDT", "BNBUSDT"], "strategies": own}
    [bound] = registry.build(check({"paper": {}, "pools": {"basket": basket}}, "the test"))["basket"]
    assert bound.paper is not None
    found = bound.paper.for_symbol("ETHUSDT"), bound.paper.for_symbol("BTCUSDT")
    assert [each.latency_ms for each in found if each] == [5, 50]
