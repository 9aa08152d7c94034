"""Walk-forward: the best set of each train window, on the test window that follows it. Pure.

    ├──── train ────┤─ test ─┤
             ├──── train ────┤─ test ─┤          a step later each

Windows are of event time. What a window's choice rests on ends where its test begins.
"""

import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tasks.errors import SettingsError
from tasks.sweep import figures
from tasks.sweep.figures import Figures, SweepRow
from tasks.sweep.parameter_set import ParameterSet

_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_HELP = "--walk-forward takes train=2h,test=30m,step=30m (s, m, h, d); step is test's unless given"


class WindowLengths(NamedTuple):
    """How long windows are, milliseconds."""

    train_ms: int
    test_ms: int
    step_ms: int

    @classmethod
    def parse(cls, text: str) -> "WindowLengths":
        """Read `train=2h,test=30m,step=30m`. Raises SettingsError."""
        said = [part.partition("=") for part in text.split(",")]
        lengths = {name.strip(): _length_ms(value.strip()) for name, _, value in said}
        if not {"train", "test"} <= lengths.keys() <= {"train", "test", "step"} or len(lengths) < len(said):
            raise SettingsError(f"{_HELP}, not {text!r}")
        return cls(lengths["train"], lengths["test"], lengths.get("step", lengths["test"]))


def _length_ms(text: str) -> int:
    found = re.fullmatch(r"([1-9]\d{0,8})([smhd])", text)
    if not found:
        raise SettingsError(f"{_HELP}, not {text!r}")
    return int(found[1]) * _UNITS_MS[found[2]]


class Window(NamedTuple):
    """One window: event times, unix milliseconds; each part ends before the next begins."""

    train_from_ms: int
    test_from_ms: int
    test_to_ms: int


def windows(lengths: WindowLengths, from_ms: int, to_ms: int) -> list[Window]:
    """Return the windows whose test ends within the recordings' event times. Raises SettingsError: there is none."""
    found = list(_windows(lengths, from_ms, to_ms))
    if not found:
        needed_s, there_s = (lengths.train_ms + lengths.test_ms) / 1_000, (to_ms - from_ms) / 1_000
        raise SettingsError(f"the recordings span {there_s:,.0f} s, and a train and a test window {needed_s:,.0f} s")
    return found


def _windows(lengths: WindowLengths, from_ms: int, to_ms: int) -> Iterator[Window]:
    begin_ms = from_ms
    while (end_ms := begin_ms + lengths.train_ms + lengths.test_ms) <= to_ms + 1:
        yield Window(begin_ms, begin_ms + lengths.train_ms, end_ms)
        begin_ms += lengths.step_ms


class WindowChoice(msgspec.Struct):
    """What walk-forward made of one window for one strategy."""

    strategy: str
    train_from_ms: int
    test_from_ms: int
    test_to_ms: int
    #: The best of the train window.
    parameters: dict[str, Any]
    #: Value of the objective of this set in the train window: in-sample.
    in_sample: float | None
    #: The same in the test window, and the median of all sets there.
    out_of_sample: float | None
    median: float | None
    #: Place of the chosen set among all sets in the test window, from 1, and how many sets there are.
    rank: int
    sets: int


class WalkForward(msgspec.Struct):
    """Result of walk-forward. Only numbers named in-sample are of what the choice was made on."""

    objective: str
    windows: list[WindowChoice]
    #: By strategy: in how many windows the in-sample best was worse out of sample than the median of all sets.
    below_median: dict[str, int]
    #: What the choices came to, all test windows together: a row for each strategy, out of sample.
    rows: list[SweepRow]
    #: By strategy: profit out of sample, added up, at the end of each minute: unix milliseconds and profit.
    equity: dict[str, list[tuple[int, float]]]


#: Returns the figures of a set in a window's train (0) and test (1) segment, of all parts; and why it has none.
FiguresOf = Callable[[ParameterSet, Window], tuple[Sequence[Sequence[Figures]], str]]


def evaluate(
    sets: Mapping[str, Sequence[ParameterSet]], among: Sequence[Window], figures_of: FiguresOf, objective: str
) -> WalkForward:
    """Choose for every strategy and window, and report on it; `sets` are by strategy.

    A strategy of which no set ran without an error in each window has no part in it.
    """
    result = WalkForward(objective, [], {}, [], {})
    for strategy, of_strategy in sets.items():
        chosen = [_choose(strategy, of_strategy, window, figures_of, objective) for window in among]
        found = [each for each in chosen if each is not None]
        if len(found) < len(among):
            continue
        choices = [each.choice for each in found]
        tested = [figures_there for each in found for figures_there in each.tested]
        result.windows += choices
        result.below_median[strategy] = sum(is_worse(choice, objective) for choice in choices)
        result.rows.append(figures.row(strategy, {}, tested))
        result.equity[strategy] = _equity(tested)
    return result


def is_worse(choice: WindowChoice, objective: str) -> bool:
    """Whether a choice was worse than the median of all sets, as one without a value is."""
    return choice.median is not None and figures.merit(choice.out_of_sample, objective) < figures.merit(
        choice.median, objective
    )


class _Tested(NamedTuple):
    """A choice, and its figures on the test window."""

    choice: WindowChoice
    tested: Sequence[Figures]


def _choose(
    strategy: str, sets: Sequence[ParameterSet], window: Window, figures_of: FiguresOf, objective: str
) -> _Tested | None:
    """Return the choice of a window; None: no set ran without an error."""
    seen = [(each, *figures_of(each, window)) for each in sets]
    usable = [(each, segments) for each, segments, error in seen if not error]
    if not usable:
        return None
    train = [_value(strategy, each, segments[0], objective) for each, segments in usable]
    test = [_value(strategy, each, segments[1], objective) for each, segments in usable]
    best = max(range(len(usable)), key=lambda number: (figures.merit(train[number], objective), -number))
    known = [value for value in test if value is not None]
    reached = figures.merit(test[best], objective)
    rank = 1 + sum(figures.merit(value, objective) > reached for value in test)
    choice = WindowChoice(
        strategy,
        *window,
        parameters=usable[best][0].parameters,
        in_sample=train[best],
        out_of_sample=test[best],
        median=statistics.median(known) if known else None,
        rank=rank,
        sets=len(usable),
    )
    return _Tested(choice, usable[best][1][1])


def _value(strategy: str, each: ParameterSet, parts: Sequence[Figures], objective: str) -> float | None:
    return figures.value(figures.row(strategy, each.parameters, parts), objective)


def _equity(tested: Sequence[Figures]) -> list[tuple[int, float]]:
    """Return the profit added up; what was open at the end of a window counts there."""
    ends = [
        Figures(by_minute={each.last_ms // figures.MINUTE_MS: each.unrealised}) for each in tested if each.unrealised
    ]
    profit, points = 0.0, []
    for minute, pnl in figures.profit_by_minute([*tested, *ends]).items():
        profit += pnl
        points.append(((minute + 1) * figures.MINUTE_MS, profit))
    return points
