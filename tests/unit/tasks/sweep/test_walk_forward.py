"""Walk-forward chooses on a train window, and reports on the test window after it."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import SettingsError
from tasks.sweep import walk_forward
from tasks.sweep.figures import Figures
from tasks.sweep.parameter_set import ParameterSet
from tasks.sweep.walk_forward import Window, WindowLengths

FAST, SLOW, CALM = (ParameterSet("skew", {"levels": levels}) for levels in (5, 10, 20))
ONE, TWO = Window(0, 100, 150), Window(50, 150, 200)


def evaluate(profits: dict[tuple[int, Window], tuple[float, float]], among: Sequence[Window] = (ONE, TWO)):
    def figures_of(each: ParameterSet, window: Window) -> tuple[list[list[Figures]], str]:
        train, test = profits[each.parameters["levels"], window]
        return [[Figures(pnl=train)], [Figures(pnl=test, by_minute={window.test_from_ms: test})]], ""

    return walk_forward.evaluate({"skew": [FAST, SLOW, CALM]}, among, figures_of, "profit")


PROFITS = {
    (5, ONE): (3.0, -1.0), (10, ONE): (2.0, 5.0), (20, ONE): (1.0, 1.0),
    (5, TWO): (1.0, 0.0), (10, TWO): (4.0, 2.0), (20, TWO): (4.0, 9.0),
}  # fmt: skip


def test_the_best_of_each_train_window_is_chosen_the_first_of_equals():
    first, second = evaluate(PROFITS).windows
    assert (first.parameters, second.parameters) == (FAST.parameters, SLOW.parameters)
    assert (first.in_sample, first.out_of_sample, first.median, first.rank, first.sets) == (3.0, -1.0, 1.0, 3, 3)
    assert (second.in_sample, second.out_of_sample, second.median, second.rank) == (4.0, 2.0, 2.0, 2)


def test_it_says_how_often_the_best_was_below_the_median():
    assert evaluate(PROFITS).below_median == {"skew": 1}


def test_of_costs_the_lowest_is_the_best():
    def figures_of(each: ParameterSet, window: Window) -> tuple[list[list[Figures]], str]:
        train, test = PROFITS[each.parameters["levels"], window]
        return [[Figures(drawdown=10 - train)], [Figures(drawdown=10 - test)]], ""

    result = walk_forward.evaluate({"skew": [FAST, SLOW, CALM]}, [ONE, TWO], figures_of, "max_drawdown")
    assert [each.parameters for each in result.windows] == [FAST.parameters, SLOW.parameters]
    assert [(each.in_sample, each.rank) for each in result.windows] == [(7.0, 3), (6.0, 2)]
    assert result.below_median == {"skew": 1}


def test_rows_and_equity_are_of_the_choices_out_of_sample():
    result = evaluate(PROFITS)
    (row,) = result.rows
    assert row.profit == 1.0
    assert [profit for _, profit in result.equity["skew"]] == [-1.0, 1.0]


@pytest.mark.parametrize("future", [-1e9, 0.0, 1e9])
def test_the_choice_does_not_know_the_test_window(future: float):
    poisoned = {name: (train, future * (number + 1)) for number, (name, (train, _)) in enumerate(PROFITS.items())}
    assert [each.parameters for each in evaluate(poisoned).windows] == [FAST.parameters, SLOW.parameters]


def test_sets_that_failed_are_left_out():
    def figures_of(each: ParameterSet, _: Window) -> tuple[list[list[Figures]], str]:
        return ([], "boom") if each is FAST else ([[Figures(pnl=1.0)], [Figures(pnl=2.0)]], "")

    result = walk_forward.evaluate({"skew": [FAST, SLOW]}, [ONE], figures_of, "profit")
    assert (result.windows[0].parameters, result.windows[0].sets) == (SLOW.parameters, 1)


def test_a_strategy_of_which_every_set_failed_is_left_out():
    def figures_of(each: ParameterSet, window: Window) -> tuple[list[list[Figures]], str]:
        return ([], "boom") if (each, window) == (FAST, TWO) else ([[Figures(pnl=1.0)], [Figures(pnl=2.0)]], "")

    result = walk_forward.evaluate({"skew": [FAST], "calm": [CALM]}, [ONE, TWO], figures_of, "profit")
    assert [(each.strategy, each.out_of_sample) for each in result.windows] == [("calm", 2.0), ("calm", 2.0)]
    assert ([row.strategy for row in result.rows], result.below_median) == (["calm"], {"calm": 0})


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("train=2h,test=30m,step=15m", (7_200_000, 1_800_000, 900_000)),
        ("train=90s, test=1d", (90_000, 86_400_000, 86_400_000)),
    ],
)
def test_lengths_are_read(text: str, lengths: tuple[int, int, int]):
    assert WindowLengths.parse(text) == lengths


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2h",
        "train=2h",
        "train=2h,test=0m",
        "train=2h,test=1m,stride=1m",
        "train=2w,test=1h",
        "train=-2h,test=1h",
        "train=2h,test=1h,test=2h",
    ],
)
def test_other_lengths_are_refused_in_one_line(text: str):
    with pytest.raises(SettingsError) as refused:
        WindowLengths.parse(text)
    assert "train=2h,test=30m,step=30m" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_recordings_that_are_too_short_are_refused():
    with pytest.raises(SettingsError, match="span 100 s, and a train and a test window 150 s"):
        walk_forward.windows(WindowLengths(100_000, 50_000, 50_000), 0, 100_000)


@given(
    lengths=st.builds(WindowLengths, st.integers(1, 50), st.integers(1, 50), st.integers(1, 50)),
    from_ms=st.integers(0, 1_000),
    more_ms=st.integers(100, 1_000),
)
def test_windows_lie_within_the_recording_a_step_apart(lengths: WindowLengths, from_ms: int, more_ms: int):
    found = walk_forward.windows(lengths, from_ms, from_ms + more_ms)
    for number, window in enumerate(found):
        assert window.train_from_ms == from_ms + number * lengths.step_ms
        assert window.test_from_ms - window.train_from_ms == lengths.train_ms
        assert window.test_to_ms - window.test_from_ms == lengths.test_ms
        # An event at the very end belongs to the last window.
        assert window.test_to_ms <= from_ms + more_ms + 1
    assert found[-1].test_to_ms + lengths.step_ms > from_ms + more_ms + 1
