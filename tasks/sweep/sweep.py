"""A sweep: what its file and the strategies file say together, as parameter sets in order or as searches."""

from pathlib import Path
from random import Random
from typing import Literal, NamedTuple, Self

from tasks.configuration import Configuration, registry
from tasks.errors import SettingsError
from tasks.sweep.parameter_set import ParameterSet
from tasks.sweep.space import sweep_file
from tasks.sweep.space.bound_space import BoundSpace, bind
from tasks.sweep.space.optuna_search import OptunaSearch
from tasks.sweep.space.sweep_file import SweepFile

#: A grid of more sets, before conditions, is refused unless it is allowed.
MAX_SETS = 1_000_000

#: Sets by chance with which a search is checked before it starts.
_PROBED_SETS = 100

Method = Literal["grid", "random", "optuna"]


class SweepPlan(NamedTuple):
    """The sets that a sweep tries."""

    #: Strategy after strategy in the order of the file; of a grid the last parameter changes fastest.
    sets: list[ParameterSet]
    #: A line for each strategy of which sets were left out, or fewer found than asked for: for the person.
    notes: list[str]


class Sweep:
    """A sweep file, put to use."""

    def __init__(self, path: Path, file: SweepFile, max_sets: int = MAX_SETS) -> None:
        """Take the content of the file at `path`."""
        self._path = path
        self._file = file
        self._max_sets = max_sets

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a sweep file. Raises SettingsError, one message with a line for each fault."""
        return cls(path, sweep_file.read(path))

    @property
    def objective(self) -> str:
        """The column of the rows by which sets are compared; the highest is the best."""
        return self._file.search.objective

    @property
    def method(self) -> Method:
        """How it searches."""
        return self._file.search.method

    @property
    def strategies(self) -> tuple[str, ...]:
        """The strategies that it is about, as the sweep file names them, in its order."""
        return tuple(self._file.strategies)

    def sets(self, configuration: Configuration, *, allow_huge: bool = False) -> list[ParameterSet]:
        """Return the sets of `plan`."""
        return self.plan(configuration, allow_huge=allow_huge).sets

    def plan(self, configuration: Configuration, *, allow_huge: bool = False) -> SweepPlan:
        """Return all sets of a grid or a random search, checked against `configuration`.

        Sets that a `where` excludes, or that the strategy's own model refuses as a combination, are left out; the notes
        count them. Raises SettingsError, one message with a line for each fault: a strategy, parameter or value that
        does not fit, a grid of more than `MAX_SETS` sets before conditions unless `allow_huge`, or nothing left to try.
        """
        if self.method == "optuna":
            raise SettingsError(f"{self._path}: an optuna search has no sets before their results: ask `searches`")
        bound = self._bind(configuration)
        if self.method == "grid" and not allow_huge:
            self._refuse_huge(bound)
        plan, faults = SweepPlan([], []), []
        for each in bound:
            if self.method == "grid":
                sets = list(filter(each.accepts, each.space.grid()))
                plan.notes.extend(each.grid_notes())
            else:
                sets = self._random(each, self._file.search.samples)
                plan.notes.extend(each.sample_notes(len(sets), self._file.search.samples))
            faults += each.faults(sets)
            plan.sets.extend(sets)
        self._refuse(faults)
        return plan

    def searches(self, configuration: Configuration) -> list[OptunaSearch]:
        """Return a search by Optuna for each strategy, checked as `plan` does.

        Raises SettingsError: a fault, or Optuna is not installed.
        """
        search, made = self._file.search, []
        for each in self._bind(configuration):
            probe = self._random(each, min(search.samples, _PROBED_SETS))
            self._refuse(each.faults(probe))
            made.append(OptunaSearch(each.space, each.accepts, search.samples, search.seed))
        return made

    def _random(self, bound: BoundSpace, samples: int) -> list[ParameterSet]:
        # Each strategy has dice of its own: one more in the file leaves the sets of the others as they were.
        dice = Random(f"{self._file.search.seed}:{bound.space.strategy}")  # noqa: S311 a search, no secret
        return bound.space.sample(samples, bound.accepts, dice)

    def _bind(self, configuration: Configuration) -> list[BoundSpace]:
        registry.build(configuration)
        faults: list[str] = []
        bound: dict[str, BoundSpace] = {}
        for name, table in self._file.strategies.items():
            try:
                each = bind(configuration, name, table, continuous=self.method != "grid")
            except SettingsError as error:
                faults += error.faults or [str(error)]
                continue
            if each.space.strategy in bound:
                faults.append(f"sweep.{name}: {each.space.strategy} is there twice")
            bound[each.space.strategy] = each
        self._refuse(faults)
        return list(bound.values())

    def _refuse_huge(self, bound: list[BoundSpace]) -> None:
        size = sum(each.space.size or 0 for each in bound)
        if size > self._max_sets:
            raise SettingsError(
                f"{self._path}: the grid has {size:,} parameter sets, more than {self._max_sets:,}: --yes tries them all the same"
            )

    def _refuse(self, faults: list[str]) -> None:
        if faults:
            raise SettingsError.of(f"{self._path} can't be used", faults)
