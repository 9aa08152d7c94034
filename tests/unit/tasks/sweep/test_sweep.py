"""A sweep file put to use with a strategies file."""

import sys

import pytest

from tasks.configuration import Configuration
from tasks.errors import SettingsError
from tasks.sweep import ParameterSet, Sweep
from tasks.sweep.space import sweep_file

CROSSING = "tests.support.strategies.crossing:Crossing"
CONFIGURATION = Configuration.model_validate(
    {
        "pools": {
            "depth": {"kinds": ["depth"], "strategies": {"orderbook_skew": {"levels": 7}, "iceberg": {}}},
            "trade": {"kinds": ["trade"], "strategies": {CROSSING: {"symbols": {"BTCUSDT": {"slow": 50}}}}},
        }
    }
)


@pytest.fixture
def sweep(tmp_path):
    def read(text: str) -> Sweep:
        path = tmp_path / "SWEEP.toml"
        path.write_text(text, encoding="utf-8")
        return Sweep.read(path)

    return read


def faults(sweep: Sweep) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refusal:
        sweep.sets(CONFIGURATION)
    return refusal.value.faults


def test_a_grid_comes_in_the_order_of_the_file(sweep):
    found = sweep("""
        [sweep.iceberg]
        gate.min_confidence = [0.6, 0.5]
        [sweep.orderbook_skew]
        levels = { from = 4, to = 5 }
        buy_ratio = { from = 2, to = 3, step = 0.5 }
    """)
    assert (found.method, found.objective, found.strategies) == ("grid", "profit", ("iceberg", "orderbook_skew"))
    assert found.sets(CONFIGURATION) == [
        *(ParameterSet("iceberg", {"gate.min_confidence": each}) for each in (0.6, 0.5)),
        *(
            ParameterSet("orderbook_skew", {"levels": levels, "buy_ratio": ratio})
            for levels in (4, 5)
            for ratio in (2.0, 2.5, 3.0)
        ),
    ]


def test_a_where_leaves_sets_out_and_says_how_many(sweep):
    plan = sweep("[sweep.orderbook_skew]\nlevels = [1, 2, 3]\nhold_s = [1, 2]\nwhere = 'levels > hold_s'").plan(
        CONFIGURATION
    )
    assert [tuple(each.parameters.values()) for each in plan.sets] == [(2, 1), (3, 1), (3, 2)]
    assert plan.notes == ["orderbook_skew: 3 of 6 sets left out: `where` excludes 3"]


def test_the_name_of_signals_does_and_is_told_as_the_file_has_it(sweep):
    assert sweep("[sweep.crossing]\nfast = 5").sets(CONFIGURATION) == [ParameterSet(CROSSING, {"fast": 5})]


def test_a_set_that_the_model_refuses_is_left_out_and_counted(sweep):
    plan = sweep("[sweep.crossing]\nfast = [10, 30, 60]\nslow = [20, 40]\nwhere = 'fast != 60'").plan(CONFIGURATION)
    assert [tuple(each.parameters.values()) for each in plan.sets] == [(10, 20), (10, 40), (30, 40)]
    assert plan.notes == [
        "crossing: 3 of 6 sets left out: `where` excludes 2, the strategy refuses 1 (fast must be below slow)"
    ]


def test_the_parameters_of_a_symbol_have_to_fit_too(sweep):
    assert len(sweep("[sweep.crossing]\nfast = [45, 55]\nslow = 60").sets(CONFIGURATION)) == 1
    found = sweep("[sweep.crossing]\nfast = [12, 30]\nsymbols.ETHUSDT.slow = [25, 35]\nslow = 90").sets(CONFIGURATION)
    assert [tuple(each.parameters.values()) for each in found] == [(12, 25, 90), (12, 35, 90), (30, 35, 90)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[sweep.orderbook_skw]\nlevels = 1",
            "sweep.orderbook_skw: there is no strategy 'orderbook_skw'; did you mean orderbook_skew?",
        ),
        (
            "[sweep.all]\ngate.off = true",
            "sweep.all: there is no strategy 'all'; known: iceberg, orderbook_skew, " + CROSSING,
        ),
        ("[sweep.'shadow~iceberg']\nx = 1", "sweep.shadow~iceberg: a sweep tries strategies, no shadows"),
        (f"[sweep.crossing]\nfast = 1\n[sweep.'{CROSSING}']\nfast = 1", f"sweep.{CROSSING}: {CROSSING} is there twice"),
        (
            "[sweep.orderbook_skew]\nlevel = 1",
            "sweep.orderbook_skew.level: there is no such parameter; did you mean levels?",
        ),
        (
            "[sweep.crossing]\nxyz = 1",
            "sweep.crossing.xyz: there is no such parameter; known: bar, fast, min_signal_interval_s, notional, slow, weight",
        ),
        (
            "[sweep.iceberg]\ngate.min_confidenc = 1",
            "sweep.iceberg.gate.min_confidenc: there is no such parameter; did you mean gate.min_confidence?",
        ),
        (
            "[sweep.iceberg]\npaper.fees_bps.usdm.takr = 1",
            "sweep.iceberg.paper.fees_bps.usdm.takr: there is no such parameter; did you mean paper.fees_bps.usdm.taker?",
        ),
        (
            "[sweep.orderbook_skew]\nsymbols.BTCUSDT.level = 1",
            "sweep.orderbook_skew.symbols.BTCUSDT.level: there is no such parameter; did you mean symbols.BTCUSDT.levels?",
        ),
        ("[sweep.orderbook_skew]\nlevels = [5, 21]", "sweep.orderbook_skew.levels: 21: must be at most 20"),
        ("[sweep.orderbook_skew]\nlevels = [5.5]", "sweep.orderbook_skew.levels: 5.5: must be a whole number"),
        ("[sweep.orderbook_skew]\nbuy_ratio = nan", "sweep.orderbook_skew.buy_ratio: nan: must be a finite number"),
        ("[sweep.iceberg]\ngate.min_confidence = 1.5", "sweep.iceberg.gate.min_confidence: 1.5: must be at most 1.0"),
        ("[sweep.iceberg]\npaper.latency_ms = '5'", "sweep.iceberg.paper.latency_ms: '5': must be a number"),
        (
            "[sweep.orderbook_skew]\nsymbols.BTCUSDT.levels = 21",
            "sweep.orderbook_skew.symbols.BTCUSDT.levels: 21: must be at most 20",
        ),
        (
            "[sweep.orderbook_skew]\nlevels = { from = 18, to = 22 }\n[search]\nmethod = 'random'",
            "sweep.orderbook_skew.levels: 22: must be at most 20",
        ),
        (
            "[sweep.orderbook_skew]\nbuy_ratio = { from = 2, to = 3 }",
            "sweep.orderbook_skew.buy_ratio: a grid needs to know how far apart: give the range a step, or points",
        ),
        (
            "[sweep.orderbook_skew]\nlevels = [1, 2]\nwhere = 'levels > 5'",
            "sweep.orderbook_skew: no set is left: `where` excludes 2",
        ),
        (
            "[sweep.orderbook_skew]\nlevels = [1, 2]\nwhere = 'levels > 5'\n[search]\nmethod = 'random'",
            "sweep.orderbook_skew: no set is left: `where` excludes 2",
        ),
        (
            "[sweep.crossing]\nfast = [50, 60]",
            "sweep.crossing: no set is left: the strategy refuses 2 (fast must be below slow)",
        ),
        (
            "[sweep.crossing]\nbar = ['1m', 'often']\nfast = [1, 2]",
            f"sweep.crossing: pool trade: {CROSSING}: ",
        ),
    ],
)
def test_what_does_not_fit_is_one_line_before_anything_starts(sweep, text, said):
    [fault] = faults(sweep(text))
    assert fault == said or (said.endswith(": ") and fault.startswith(said))
    assert "\n" not in fault


def test_faults_of_all_strategies_are_told_together(sweep):
    assert len(faults(sweep("[sweep.iceberg]\nx = 1\ny = 2\n[sweep.orderbook_skew]\nlevels = [0, -1]"))) == 4


def test_a_condition_that_cannot_be_told_is_one_line(sweep):
    with pytest.raises(SettingsError, match=r"^sweep\.crossing\.where: '1 / fast > 0.1 / weight' can't be told for"):
        sweep("[sweep.crossing]\nfast = 1\nweight = [1, 0]\nwhere = '1 / fast > 0.1 / weight'").sets(CONFIGURATION)


def test_a_huge_grid_is_refused_without_being_made(sweep):
    huge = sweep("[sweep.crossing]\nweight = { from = 0, to = 1, step = 1e-9 }\nfast = [1, 2]")
    with pytest.raises(SettingsError, match=r"the grid has 2,000,000,002 parameter sets, more than 1,000,000: --yes"):
        huge.sets(CONFIGURATION)


def test_a_huge_grid_is_tried_where_it_is_allowed(tmp_path):
    path = tmp_path / "SWEEP.toml"
    path.write_text("[sweep.crossing]\nweight = { from = 1, to = 9, step = 1 }\nwhere = 'weight < 3'")
    huge = Sweep(path, sweep_file.read(path), max_sets=8)
    with pytest.raises(SettingsError, match=r"more than 8: --yes tries them all the same$"):
        huge.sets(CONFIGURATION)
    assert [each.parameters["weight"] for each in huge.sets(CONFIGURATION, allow_huge=True)] == [1, 2]


RANDOM = """
    [search]
    method = "random"
    samples = 40
    seed = {seed}
    [sweep.orderbook_skew]
    levels = {{ from = 1, to = 20 }}
    buy_ratio = {{ from = 1.1, to = 100, log = true }}
    max_spread_bps = [5, 10]
    where = "levels > 5"
"""


def test_a_random_search_gives_the_same_sets_for_the_same_seed(sweep):
    one, again, other = (sweep(RANDOM.format(seed=seed)).sets(CONFIGURATION) for seed in (1, 1, 2))
    assert one == again != other
    assert len({each.canonical() for each in one}) == 40
    assert all(5 < each.parameters["levels"] <= 20 and 1.1 <= each.parameters["buy_ratio"] <= 100 for each in one)


def test_another_strategy_in_the_file_leaves_the_random_sets_as_they_were(sweep):
    alone = sweep(RANDOM.format(seed=1)).sets(CONFIGURATION)
    both = sweep(RANDOM.format(seed=1) + "\n[sweep.iceberg]\nnotional = { from = 1, to = 5 }").sets(CONFIGURATION)
    assert both[: len(alone)] == alone


def test_a_random_search_says_that_there_are_no_more(sweep):
    plan = sweep("[search]\nmethod = 'random'\n[sweep.crossing]\nfast = { from = 1, to = 50 }").plan(CONFIGURATION)
    assert sorted(each.parameters["fast"] for each in plan.sets) == list(range(1, 20))
    assert plan.notes == ["crossing: only 19 different sets were found, of the 200 asked for"]


def test_an_optuna_search_has_no_sets_before_their_results(sweep):
    with pytest.raises(SettingsError, match="an optuna search has no sets before their results"):
        sweep("[search]\nmethod = 'optuna'\n[sweep.iceberg]\nnotional = 1").sets(CONFIGURATION)


def test_without_optuna_one_line_says_what_to_install(sweep, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(
        SettingsError, match=r"^this needs optuna: pip install --require-hashes -r requirements/extras\.txt$"
    ):
        sweep("[search]\nmethod = 'optuna'\n[sweep.iceberg]\nnotional = 1").searches(CONFIGURATION)
