"""A search by Optuna; in CI it is installed, elsewhere these are skipped without it."""

import logging

import pytest

from tasks.configuration import Configuration
from tasks.errors import SettingsError
from tasks.sweep import ParameterSet, Sweep
from tasks.sweep.space.dimensions import Choices, Interval, Steps
from tasks.sweep.space.optuna_search import OptunaSearch
from tasks.sweep.space.parameter_space import ParameterSpace
from tests.support import needs

SPACE = ParameterSpace(
    "it",
    (
        Choices("side", ("buy", "sell")),
        Steps("step", 0.1, 0.1, 10),
        Choices("points", (1, 10, 100), ordered=True),
        Interval("level", 1, 20, whole=True),
        Interval("ratio", 0.001, 10.0, log=True),
        Choices("fixed", (7,)),
    ),
)


@pytest.fixture(autouse=True)
def optuna():
    return needs.module("optuna")


def everything(_: ParameterSet) -> bool:
    return True


def search_of(space: ParameterSpace = SPACE, accepts=everything, samples: int = 60, seed: int = 1) -> OptunaSearch:
    return OptunaSearch(space, accepts, samples, seed)


def value_of(tried: ParameterSet) -> float:
    return float(-abs(tried.parameters["level"] - 13) - abs(tried.parameters["step"] - 0.7))


def run(search: OptunaSearch, *, batch: int = 8, backwards: bool = False) -> list[ParameterSet]:
    """Return all sets that a search asks for, recorded batch by batch."""
    found: list[ParameterSet] = []
    while asked := search.ask(batch):
        results = [(each, value_of(each)) for each in asked]
        search.record(reversed(results) if backwards else results)
        found += asked
    return found


def test_it_asks_for_as_many_different_sets_of_the_space_as_it_may():
    found = run(search_of())
    assert len({each.canonical() for each in found}) == len(found) == 60
    for each in found:
        parameters = each.parameters
        assert list(parameters) == ["side", "step", "points", "level", "ratio", "fixed"]
        assert parameters["side"] in {"buy", "sell"}
        assert parameters["step"] in {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0}
        assert parameters["points"] in {1, 10, 100}
        assert parameters["level"] in range(1, 21)
        assert 0.001 <= parameters["ratio"] <= 10
        assert parameters["fixed"] == 7


def test_the_order_of_results_within_a_batch_does_not_count():
    assert run(search_of()) == run(search_of(), backwards=True)
    assert run(search_of()) != run(search_of(seed=2))


def test_it_searches_where_the_values_are_higher():
    found = run(search_of())
    first, last = (sum(map(value_of, sets)) for sets in (found[:20], found[-20:]))
    assert last > first


def test_a_set_that_is_not_accepted_is_never_asked_for():
    found = run(search_of(accepts=lambda tried: tried.parameters["level"] < 10))
    assert len(found) == 60
    assert max(each.parameters["level"] for each in found) < 10


def test_a_search_that_finds_nothing_new_ends():
    refusing = search_of(accepts=lambda _: False)
    assert refusing.ask(5) == []
    assert refusing.ask(5) == []
    few = run(search_of(ParameterSpace("it", (Steps("step", 0.5, 0.5, 2), Choices("level", (1, 2))))))
    assert sorted((each.parameters["step"], each.parameters["level"]) for each in few) == [
        *((0.5, 1), (0.5, 2)),
        *((1.0, 1), (1.0, 2)),
    ]


def test_a_space_of_fixed_values_is_one_set():
    assert run(search_of(ParameterSpace("it", (Choices("step", (1,)), Interval("level", 3, 3, whole=True))))) == [
        ParameterSet("it", {"step": 1, "level": 3})
    ]


def test_sets_without_a_value_do_no_harm():
    search = search_of()
    search.record(zip(search.ask(4), (None, float("nan"), float("-inf"), 1.0), strict=True))
    assert len(search.ask(4)) == 4


def test_optuna_tells_nothing_of_each_trial(optuna):
    optuna.logging.set_verbosity(logging.DEBUG)
    search_of()
    assert optuna.logging.get_verbosity() == logging.WARNING


def test_a_sweep_makes_a_search_for_each_strategy(tmp_path):
    path = tmp_path / "SWEEP.toml"
    path.write_text("""
        [search]
        method = "optuna"
        samples = 5
        [sweep.iceberg]
        notional = { from = 1, to = 5 }
        [sweep.orderbook_skew]
        levels = { from = 1, to = 20 }
        where = "levels > 10"
    """)
    strategies: dict[str, dict[str, int]] = {"orderbook_skew": {}, "iceberg": {}}
    configuration = Configuration.model_validate({"pools": {"depth": {"kinds": ["depth"], "strategies": strategies}}})
    iceberg, skew = Sweep.read(path).searches(configuration)
    assert (iceberg.strategy, skew.strategy) == ("iceberg", "orderbook_skew")
    assert len(iceberg.ask(9)) == 5
    assert {type(each.parameters["levels"]) for each in skew.ask(5)} == {int}
    path.write_text(path.read_text().replace("> 10", "> 20"))
    with pytest.raises(SettingsError, match=r"orderbook_skew: no set is left: `where` excludes 20$"):
        Sweep.read(path).searches(configuration)
