"""What a sweep tries of one strategy, put together from the sweep file and the strategies file."""

from collections.abc import Iterator

from tasks.configuration import Configuration, registry
from tasks.configuration.model import SHADOW
from tasks.errors import SettingsError
from tasks.sweep.parameter_set import ParameterSet
from tasks.sweep.space.conditions import Condition
from tasks.sweep.space.dimensions import Choices, Dimension, of_range
from tasks.sweep.space.parameter_space import ParameterSpace
from tasks.sweep.space.set_check import SetCheck
from tasks.sweep.space.sweep_file import StrategyTable


class BoundSpace:
    """The parameter space of one strategy, and which of its sets count."""

    def __init__(self, name: str, space: ParameterSpace, where: tuple[Condition, ...], check: SetCheck) -> None:
        """Take the strategy's `name` in the sweep file, and what was read and made of it."""
        self.space = space
        self._name = name
        self._where = where
        self._check = check
        #: Sets that `accepts` did not: by a condition; by the strategy's model, and its first words.
        self._excluded = 0
        self._refused = 0
        self._words = ""

    def accepts(self, tried: ParameterSet) -> bool:
        """Return whether a set is to be tried; count it if not. Raises SettingsError: a condition can't be told."""
        try:
            if not all(each.holds(tried.parameters) for each in self._where):
                self._excluded += 1
                return False
        except ValueError as error:
            raise SettingsError(f"sweep.{self._name}.where: {error}") from None
        if words := self._check.refusal(tried):
            self._refused += 1
            self._words = self._words or words
        return not words

    def faults(self, sets: list[ParameterSet]) -> list[str]:
        """Return what is wrong with the sets that were accepted: there are none, or some can't be run."""
        found = (
            self._check.build_faults(sets, self.space.dimensions) if sets else [f"no set is left: {self._left_out()}"]
        )
        return [f"sweep.{self._name}: {fault}" for fault in found]

    def grid_notes(self) -> Iterator[str]:
        """Yield how many sets of the grid were left out, if any."""
        if self._excluded or self._refused:
            yield f"{self._name}: {self._excluded + self._refused:,} of {self.space.size:,} sets left out: {self._left_out()}"

    def sample_notes(self, found: int, asked: int) -> Iterator[str]:
        """Yield that a random search found fewer sets than it was asked for, if so."""
        if found < asked:
            yield f"{self._name}: only {found:,} different sets were found, of the {asked:,} asked for"

    def _left_out(self) -> str:
        excluded = [f"`where` excludes {self._excluded:,}"] if self._excluded else []
        refused = [f"the strategy refuses {self._refused:,} ({self._words})"] if self._refused else []
        return ", ".join(excluded + refused)


def bind(configuration: Configuration, name: str, table: StrategyTable, *, continuous: bool) -> BoundSpace:
    """Return the space of a strategy; in a `continuous` one a range without steps is an interval.

    Raises SettingsError, with a line for each fault: there is no such strategy, parameter or value.
    """
    if name.startswith(SHADOW):
        raise SettingsError(f"sweep.{name}: a sweep tries strategies, no shadows")
    try:
        check = SetCheck(configuration, registry.configured_name(configuration, name))
    except SettingsError as error:
        raise SettingsError(f"sweep.{name}: {error}") from None
    faults: list[str] = []
    dimensions = []
    for parameter in table.parameters:
        try:
            dimension = _dimension(check, parameter, table, continuous=continuous)
            faults += [f"sweep.{name}.{fault}" for fault in check.value_faults(dimension)]
            dimensions.append(dimension)
        except SettingsError as error:
            faults.append(f"sweep.{name}.{error}")
    if faults:
        raise SettingsError.of(f"{name} can't be swept", faults)
    return BoundSpace(name, ParameterSpace(check.strategy, tuple(dimensions)), table.where, check)


def _dimension(check: SetCheck, name: str, table: StrategyTable, *, continuous: bool) -> Dimension:
    said = table.parameters[name]
    whole = check.is_whole(name)
    if isinstance(said, tuple):
        return Choices(name, said)
    try:
        return of_range(name, said, whole=whole, continuous=continuous)
    except ValueError as error:
        raise SettingsError(f"{name}: {error}") from None
