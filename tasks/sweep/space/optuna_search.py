"""A search for the best parameter sets by Optuna. It is an optional dependency: it is imported when a search is made."""

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from tasks.optional import optional_module
from tasks.sweep.parameter_set import ParameterSet
from tasks.sweep.space.dimensions import Choices, Dimension, Interval
from tasks.sweep.space.parameter_space import ParameterSpace

if TYPE_CHECKING:
    import optuna

#: So many proposals in a row that are not accepted, or were asked before, end the search.
MAX_PROPOSALS = 200


def library() -> Any:
    """Import Optuna, quiet but for warnings. Raises SettingsError when it is not installed."""
    found = optional_module("optuna", "extras")
    found.logging.set_verbosity(found.logging.WARNING)
    return found


class OptunaSearch:
    """A search in the space of one strategy (a tree-structured Parzen estimator).

    The same seed, and the same calls of `ask` and `record` with the same values, give the same sets on one platform and
    version of Optuna: ask for a batch, record all of it, ask for the next. The order within a batch does not count, so
    neither do the number and the speed of workers.
    """

    def __init__(self, space: ParameterSpace, accepts: Callable[[ParameterSet], bool], samples: int, seed: int) -> None:
        """Search for up to `samples` sets that are accepted. Raises SettingsError: Optuna is not installed."""
        self._optuna = library()
        self._space = space
        self._accepts = accepts
        self._left = samples
        self._study: optuna.Study = self._optuna.create_study(
            direction="maximize", sampler=self._optuna.samplers.TPESampler(seed=seed)
        )
        self._distributions = {each.name: self._distribution(each) for each in space.dimensions if each.count != 1}
        #: Of each set that was asked: its trial's number.
        self._asked: dict[bytes, int] = {}

    @property
    def strategy(self) -> str:
        """The strategy, as the strategies file names it."""
        return self._space.strategy

    def ask(self, n: int) -> list[ParameterSet]:
        """Return up to `n` sets that were not asked before; none: the search has ended."""
        batch: list[ParameterSet] = []
        refused = 0
        while len(batch) < min(n, self._left) and refused < MAX_PROPOSALS:
            trial = self._study.ask(self._distributions)
            proposed = self._set(trial.params)
            key = proposed.canonical()
            if key in self._asked:
                self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
                refused += 1
            elif not self._accepts(proposed):
                # Pruned counts as worse than all that was tried, so that the sampler turns away from there.
                self._study.tell(trial, state=self._optuna.trial.TrialState.PRUNED)
                refused += 1
            else:
                self._asked[key] = trial.number
                batch.append(proposed)
                refused = 0
        self._left -= len(batch)
        if refused == MAX_PROPOSALS:
            self._left = 0
        return batch

    def record(self, results: Iterable[tuple[ParameterSet, float | None]]) -> None:
        """Take in what sets that were asked came to; None, or no finite number: it has no value."""
        states = self._optuna.trial.TrialState
        for number, value in sorted((self._asked[each.canonical()], value) for each, value in results):
            if value is None or not math.isfinite(value):
                self._study.tell(number, state=states.FAIL)
            else:
                self._study.tell(number, value)

    def _distribution(self, dimension: Dimension) -> Any:
        """Return what Optuna draws for a parameter: a number of an interval, or the index of a value."""
        kinds = self._optuna.distributions
        if isinstance(dimension, Interval):
            kind = kinds.IntDistribution if dimension.whole else kinds.FloatDistribution
            return kind(dimension.low, dimension.high, log=dimension.log)
        if isinstance(dimension, Choices) and not dimension.ordered:
            return kinds.CategoricalDistribution(range(dimension.count))
        return kinds.IntDistribution(0, dimension.count - 1)

    def _set(self, drawn: dict[str, Any]) -> ParameterSet:
        return ParameterSet(
            self.strategy, {each.name: _value(each, drawn.get(each.name, 0)) for each in self._space.dimensions}
        )


def _value(dimension: Dimension, drawn: Any) -> Any:
    if not isinstance(dimension, Interval):
        return dimension.at(drawn)
    return dimension.low if dimension.count == 1 else dimension.rounded(drawn)
