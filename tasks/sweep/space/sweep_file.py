"""The sweep file as it is written: how to search, and what to try of each strategy.

    [search]                # optional
    method = "grid"         # "grid" (default), "random", "optuna"
    samples = 200           # random, optuna: how many sets of each strategy
    seed = 1                # random, optuna: the same seed gives the same sets
    objective = "profit"    # what is best: a column of the rows, the highest; of costs and the drawdown the lowest

    [sweep.orderbook_skew]
    levels = [5, 10, 20]                                         # one of these
    buy_ratio = { from = 2.0, to = 4.0, step = 0.5 }             # a range, both ends included
    max_spread_bps = { from = 0.1, to = 10, points = 3, log = true }
    hold_s = 1.5                                                 # one value
    gate.min_confidence = [0.6, 0.7]                             # names as `--set` takes them
    where = "levels > 5 or buy_ratio >= 3"                       # a condition, or a list of them

Each `where` has to hold; its names are those of its table (`tasks.sweep.space.conditions` says what else it may have). A range
without step and points is an interval in a random or Optuna search; a grid takes it for whole parameters only, with a step
of 1. A step that does not reach `to` ends before it.
"""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tasks.configuration import toml_file
from tasks.errors import SettingsError
from tasks.settings import validation
from tasks.sweep.figures import NUMERIC_COLUMNS
from tasks.sweep.space import conditions
from tasks.sweep.space.dimensions import RangeSpec

_RANGE_KEYS = frozenset({"from", "to", "step", "points", "log"})
_WHERE = "where"


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")  # noqa: TRY004 pydantic takes a ValueError for a fault
    if not -1e300 <= value <= 1e300:
        raise ValueError("must be a finite number")
    return value


_Number = Annotated[Any, AfterValidator(_number)]


class SearchTable(BaseModel):
    """How the sweep searches."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    method: Literal["grid", "random", "optuna"] = "grid"
    samples: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 1
    objective: str = "profit"

    @field_validator("objective")
    @classmethod
    def _is_column(cls, objective: str) -> str:
        if objective not in NUMERIC_COLUMNS:
            close = difflib.get_close_matches(objective, NUMERIC_COLUMNS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(NUMERIC_COLUMNS)}"
            raise ValueError(f"the rows have no number {objective!r}; {hint}")
        return objective

    @model_validator(mode="after")
    def _grid_takes_all(self) -> Self:
        if self.method == "grid" and self.model_fields_set & {"samples", "seed"}:
            raise ValueError("a grid tries every set: samples and seed are for random and optuna")
        return self


class RangeTable(BaseModel):
    """A range of a parameter."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    start: Annotated[_Number, Field(alias="from")]
    end: Annotated[_Number, Field(alias="to")]
    step: _Number = None
    points: Annotated[int | None, Field(ge=2, le=10_000)] = None
    log: bool = False

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        if self.start > self.end:
            raise ValueError(f"an empty range: from {self.start} is above to {self.end}")
        if self.step is not None and self.step <= 0:
            raise ValueError("step: must be above 0")
        if self.step is not None and self.points is not None:
            raise ValueError("takes a step or points, not both")
        if self.log and self.step is not None:
            raise ValueError("a log scale takes points, not a step")
        if self.log and self.start <= 0:
            raise ValueError("a log scale begins above 0")
        return self

    def spec(self) -> RangeSpec:
        """Return it without pydantic."""
        return RangeSpec(self.start, self.end, self.step, self.points, self.log)


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    search: SearchTable = SearchTable()
    sweep: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]


class StrategyTable(NamedTuple):
    """What to try of one strategy."""

    #: By name as `--set` takes them, in the order of the file: values one by one, or a range.
    parameters: dict[str, tuple[Any, ...] | RangeSpec]
    where: tuple[conditions.Condition, ...]


class SweepFile(NamedTuple):
    """The file's content, checked as far as that goes without the strategies."""

    search: SearchTable
    #: By name, as the file has them, in its order.
    strategies: dict[str, StrategyTable]


def read(path: Path) -> SweepFile:
    """Read a sweep file. Raises SettingsError, one message with a line for each fault."""
    document = toml_file.read(path, "sweep file")
    faults: list[str] = []
    try:
        checked = _Document.model_validate(document)
    except ValidationError as error:
        faults = [f"{validation.place(fault)}: {validation.say(fault)}" for fault in validation.faults(error)]
        raise SettingsError.of(f"{path} can't be used", faults) from None
    strategies = {}
    for name, table in checked.sweep.items():
        own: list[str] = []
        strategies[name] = _strategy(f"sweep.{name}", table, own)
        faults += own
    if faults:
        raise SettingsError.of(f"{path} can't be used", faults)
    return SweepFile(checked.search, strategies)


def _strategy(place: str, table: dict[str, Any], faults: list[str]) -> StrategyTable:
    """Return one strategy's table; add to `faults` what is wrong."""
    where = _conditions(f"{place}.{_WHERE}", table.get(_WHERE, []), faults)
    parameters: dict[str, tuple[Any, ...] | RangeSpec] = {}
    for name, value in _flat({key: value for key, value in table.items() if key != _WHERE}):
        if name in parameters:
            faults.append(f"{place}.{name}: is there twice")
        try:
            parameters[name] = _values(value)
        except ValidationError as error:
            faults += [f"{place}.{name}: {_inside(fault)}" for fault in map(_fault, validation.faults(error))]
        except ValueError as error:
            faults.append(f"{place}.{name}: {error}")
    if not parameters and not faults:
        faults.append(f"{place}: names no parameter")
    known = ", ".join(parameters)
    faults += [
        f"{place}.{_WHERE}: there is no parameter {name!r} in {each.text!r}; known: {known}"
        for each in where
        for name in each.names
        if name not in parameters and not faults
    ]
    return StrategyTable(parameters, where)


def _fault(fault: Any) -> tuple[str, str]:
    return validation.place(fault), validation.say(fault)


def _inside(placed: tuple[str, str]) -> str:
    return ": ".join(filter(None, placed))


def _flat(table: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield names with dots and values; a table of a range's keys is a value."""
    for key, value in table.items():
        if isinstance(value, dict) and not ({"from", "to"} & value.keys() or (value and value.keys() <= _RANGE_KEYS)):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _values(value: Any) -> tuple[Any, ...] | RangeSpec:
    """Return what to try. Raises ValueError, of pydantic for a range."""
    if isinstance(value, dict):
        return RangeTable.model_validate(value).spec()
    if not isinstance(value, list):
        return (value,)
    if not value:
        raise ValueError("an empty list: there is nothing to try")
    seen = set()
    for each in value:
        # 1 and 1.0 are the same parameter, 1 and true are not.
        key = (isinstance(each, bool), each if isinstance(each, str | int | float) else msgspec.json.encode(each))
        if key in seen:
            raise ValueError(f"{each!r} is there twice")
        seen.add(key)
    return tuple(value)


def _conditions(place: str, said: Any, faults: list[str]) -> tuple[conditions.Condition, ...]:
    texts = [said] if isinstance(said, str) else said
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        faults.append(f"{place}: must be a condition, or a list of conditions")
        return ()
    parsed = []
    for text in texts:
        try:
            parsed.append(conditions.parse(text))
        except ValueError as error:
            faults.append(f"{place}: {error}")
    return tuple(parsed)
