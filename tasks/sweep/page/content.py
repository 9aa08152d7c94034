"""What a sweep's page shows. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class WalkForwardWindow(NamedTuple):
    """What one strategy chose on one train window, and what that brought on the test window after it."""

    strategy: str
    #: Event times, unix milliseconds; the test window begins where the train window ends.
    train_from_ms: int
    train_to_ms: int
    test_to_ms: int
    #: The choice: the best set of the train window. None: no set had an objective.
    parameters: Mapping[str, Any] | None
    #: The choice's objective on the train window, and on the test window.
    in_sample: float | None
    out_of_sample: float | None
    #: The objective on the test window: the median of all sets, the choice's rank (1: best), and of how many sets.
    median: float | None
    rank: int | None
    sets: int
    #: Whether the choice was worse than the median, as one without an objective is.
    is_below: bool = False


class WalkForwardPage(NamedTuple):
    """What a walk-forward found."""

    windows: Sequence[WalkForwardWindow]
    #: By strategy: in how many windows the in-sample best was below the out-of-sample median, and of how many.
    below_median: Mapping[str, tuple[int, int]]
    #: By strategy: (time in unix milliseconds, profit of the choices on their test windows up to then).
    equity: Mapping[str, Sequence[tuple[int, float]]]


class SweepPage(NamedTuple):
    """The data shown on the page."""

    title: str
    files: Sequence[str]
    #: The column of `rows` by which sets are compared.
    objective: str
    #: A row for each set: `strategy`, `parameters`, figures, and `error`: None, or the traceback of a set that failed.
    rows: Sequence[Mapping[str, Any]]
    walk_forward: WalkForwardPage | None = None
    #: Sentences that the reader needs, such as that the sweep is not complete.
    notes: Sequence[str] = ()
    #: Whether the best set is the one with the lowest objective.
    is_lowest_best: bool = False
