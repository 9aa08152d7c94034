"""The sweep file as it is written."""

import pytest

from tasks.errors import SettingsError
from tasks.sweep.space import sweep_file
from tasks.sweep.space.dimensions import RangeSpec


@pytest.fixture
def read(tmp_path):
    def read_text(text: str) -> sweep_file.SweepFile:
        path = tmp_path / "SWEEP.toml"
        path.write_text(text, encoding="utf-8")
        return sweep_file.read(path)

    return read_text


def test_a_file_is_read_in_its_order(read):
    found = read("""
        [search]
        method = "random"
        samples = 50
        seed = 7
        objective = "sharpe"
        [sweep.orderbook_skew]
        levels = [5, 10, 20]
        threshold = { from = 0.5, to = 2.0, step = 0.5 }
        other = { from = 1e-4, to = 1e-1, points = 4, log = true }
        fixed = 7
        "gate.min_confidence" = [0.6, 0.7]
        paper.latency_ms = { from = 0, to = 100, step = 50 }
        paper.fees_bps.usdm.taker = 4.0
        where = ["levels > 5", "fixed == 7"]
        [sweep."mine:Boom"]
        text = "a"
        where = "text == 'a'"
    """)
    assert found.search == sweep_file.SearchTable(method="random", samples=50, seed=7, objective="sharpe")
    assert list(found.strategies) == ["orderbook_skew", "mine:Boom"]
    skew = found.strategies["orderbook_skew"]
    assert list(skew.parameters.items()) == [
        ("levels", (5, 10, 20)),
        ("threshold", RangeSpec(0.5, 2.0, 0.5)),
        ("other", RangeSpec(1e-4, 1e-1, points=4, log=True)),
        ("fixed", (7,)),
        ("gate.min_confidence", (0.6, 0.7)),
        ("paper.latency_ms", RangeSpec(0, 100, 50)),
        ("paper.fees_bps.usdm.taker", (4.0,)),
    ]
    assert [each.text for each in skew.where] == ["levels > 5", "fixed == 7"]


def test_without_a_search_it_is_a_grid_for_profit(read):
    search = read("[sweep.a]\nb = 1").search
    assert (search.method, search.objective, search.seed) == ("grid", "profit", 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "sweep: is missing"),
        ("[sweep]", "sweep: must have at least 1"),
        ("sweep = 1", "sweep: must be a table"),
        ("[sweep]\na = 1", "sweep.a: must be a table"),
        ("[sweep.a]", "sweep.a: names no parameter"),
        ("[sweep.a]\ngate = {}", "sweep.a: names no parameter"),
        ("[sweep.a]\nwhere = 'b > 1'", "sweep.a: names no parameter"),
        ("[sweeps.a]\nb = 1\n[sweep.a]\nb = 1", "sweeps: there is no such name"),
        ("[sweep.a]\nb = []", "sweep.a.b: an empty list: there is nothing to try"),
        ("[sweep.a]\nb = [1, 2, 1.0]", "sweep.a.b: 1.0 is there twice"),
        ("[sweep.a]\nb = [[1], [1]]", "sweep.a.b: [1] is there twice"),
        ("[sweep.a]\n'b.c' = 1\nb.c = 2", "sweep.a.b.c: is there twice"),
        ("[sweep.a]\nb = { from = 2, to = 1, step = 1 }", "sweep.a.b: an empty range: from 2 is above to 1"),
        ("[sweep.a]\nb = { from = 1, step = 1 }", "sweep.a.b: to: is missing"),
        ("[sweep.a]\nb = { step = 1, points = 3, from = 1, to = 3 }", "sweep.a.b: takes a step or points, not both"),
        ("[sweep.a]\nb = { from = 1, to = 2, step = 0 }", "sweep.a.b: step: must be above 0"),
        ("[sweep.a]\nb = { from = 1, to = 2, stop = 1 }", "sweep.a.b: stop: there is no such name"),
        ("[sweep.a]\nb = { from = 1, to = 2, points = 1 }", "sweep.a.b: points: must be at least 2"),
        ("[sweep.a]\nb = { from = 'x', to = 2 }", "sweep.a.b: from: must be a number"),
        ("[sweep.a]\nb = { from = true, to = 2 }", "sweep.a.b: from: must be a number"),
        ("[sweep.a]\nb = { from = 1, to = inf }", "sweep.a.b: to: must be a finite number"),
        ("[sweep.a]\nb = { from = nan, to = 1 }", "sweep.a.b: from: must be a finite number"),
        ("[sweep.a]\nb = { from = 0, to = 1, log = true }", "sweep.a.b: a log scale begins above 0"),
        (
            "[sweep.a]\nb = { from = 1, to = 9, step = 1, log = true }",
            "sweep.a.b: a log scale takes points, not a step",
        ),
        ("[sweep.a]\nb = 1\nwhere = 5", "sweep.a.where: must be a condition, or a list of conditions"),
        (
            "[sweep.a]\nb = 1\nwhere = 'b >'",
            "sweep.a.where: 'b >' is no condition, such as 'fast < slow and levels > 5'",
        ),
        ("[sweep.a]\nb = 1\nwhere = 'open()'", "sweep.a.where: 'open()' can't be in a condition"),
        (
            "[sweep.a]\nb = 1\nc = 2\nwhere = 'd > b'",
            "sweep.a.where: there is no parameter 'd' in 'd > b'; known: b, c",
        ),
        ("search = { method = 'gird' }\n[sweep.a]\nb = 1", "search.method: must be 'grid', 'random' or 'optuna'"),
        ("search = { seed = -1, method = 'random' }\n[sweep.a]\nb = 1", "search.seed: must be at least 0"),
        (
            "search = { samples = 5 }\n[sweep.a]\nb = 1",
            "search: a grid tries every set: samples and seed are for random and optuna",
        ),
        (
            "search = { objective = 'profits' }\n[sweep.a]\nb = 1",
            "search.objective: the rows have no number 'profits'; did you mean profit?",
        ),
    ],
)
def test_a_fault_is_one_line(read, tmp_path, text, said):
    with pytest.raises(SettingsError) as refusal:
        read(text)
    assert str(refusal.value) == f"{tmp_path / 'SWEEP.toml'} can't be used: {said}"


def test_several_faults_have_a_line_each(read):
    with pytest.raises(SettingsError) as refusal:
        read("[sweep.a]\nb = []\nc = {from = 2, to = 1}\n[sweep.d]")
    assert refusal.value.faults == (
        "sweep.a.b: an empty list: there is nothing to try",
        "sweep.a.c: an empty range: from 2 is above to 1",
        "sweep.d: names no parameter",
    )


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(SettingsError, match=r"^can't read the sweep file .*nowhere\.toml: No such file or directory$"):
        sweep_file.read(tmp_path / "nowhere.toml")


def test_a_true_beside_a_one_is_another_value(read):
    assert read("[sweep.a]\nb = [1, true]").strategies["a"].parameters["b"] == (1, True)
