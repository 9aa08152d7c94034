"""Whether parameter sets of one strategy fit the strategies file, before anything starts.

Two kinds of misfit are told apart. A name that does not exist, and a value that the type or the bounds of its own
parameter exclude, are faults of the sweep file. A set whose values are fine one by one, but which the strategy's model
refuses as a whole (a validator such as "fast must be below slow"), is left out of the sweep, as by a `where`.
"""

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError, create_model

from tasks.configuration import Configuration, named_strategies, registry
from tasks.configuration.gate import Gate
from tasks.errors import SettingsError
from tasks.paper import PaperTable
from tasks.paper.terms import FeesTable
from tasks.settings import validation
from tasks.sweep.parameter_set import ParameterSet
from tasks.sweep.space.dimensions import Dimension, Interval

#: Of steps, so many are checked one by one, and the last.
_CHECKED_STEPS = 1_000
#: Of many sets, so many are built as the workers will: each value once where that is enough.
_BUILT_SETS = 500


class _FieldPath(NamedTuple):
    """Where a value goes: a field of a model, and for which symbol (empty: all)."""

    model: type[BaseModel]
    field: str
    symbol: str


class SetCheck:
    """The check of one strategy's sets against a configuration."""

    def __init__(self, configuration: Configuration, strategy: str) -> None:
        """Look at `strategy`, by the name under which it is configured. Raises SettingsError."""
        self.strategy = strategy
        self._configuration = named_strategies.only(configuration, [], [strategy])
        self._params_type = registry.find(strategy).params_type
        tables = [pool.strategies[strategy] for pool in self._configuration.pools.values()]
        #: The file's parameters in each pool, and those of symbols.
        self._bases = [(each.params, {name: own.params for name, own in each.symbols.items()}) for each in tables]

    def is_whole(self, name: str) -> bool:
        """Return whether a parameter takes whole numbers only. Raises SettingsError: there is none of this name."""
        path = self._path(name)
        types = set(_types(path.model.model_fields[path.field].annotation))
        return int in types and float not in types

    def value_faults(self, dimension: Dimension) -> list[str]:
        """Return a line for each value that its parameter excludes; of an interval the ends are looked at."""
        path = self._path(dimension.name)
        field = path.model.model_fields[path.field]
        alone: type[BaseModel] = create_model(  # type: ignore[call-overload]
            "alone", __config__=path.model.model_config, **{path.field: (field.annotation, field)}
        )
        faults = []
        for value in _looked_at(dimension):
            try:
                alone.model_validate({path.field: value})
            except ValidationError as error:
                faults.append(f"{dimension.name}: {value!r}: {validation.say(validation.faults(error)[0])}")
        return faults

    def refusal(self, tried: ParameterSet) -> str:
        """Return why the strategy's model refuses a set whose values are fine one by one; empty: it does not."""
        common: dict[str, Any] = {}
        of_symbols: dict[str, dict[str, Any]] = {}
        for name, value in tried.parameters.items():
            if "." not in name:
                common[name] = value
            elif (path := self._path(name)).symbol and path.model is self._params_type:
                of_symbols.setdefault(path.symbol, {})[path.field] = value
        try:
            for params, symbols in self._bases:
                everywhere = params | common
                self._params_type.model_validate(everywhere)
                for symbol in symbols.keys() | of_symbols.keys() if symbols or of_symbols else ():
                    own = symbols.get(symbol, {}) | of_symbols.get(symbol, {})
                    self._params_type.model_validate(everywhere | own)
        except ValidationError as error:
            first = validation.faults(error)[0]
            return ": ".join(filter(None, (validation.place(first), validation.say(first))))
        except Exception as error:  # noqa: BLE001 a validator is somebody's code: it may raise anything
            return f"{type(error).__name__}: {error}"
        return ""

    def build_faults(self, sets: Iterable[ParameterSet], dimensions: Iterable[Dimension]) -> list[str]:
        """Return what keeps the strategy from running with some of these sets, each fault once.

        Few sets are all built; of many, those in which a value of a dimension is met first.
        """
        faults: dict[str, None] = {}
        for tried in _covering(sets, [each.name for each in dimensions if not _is_endless(each)]):
            try:
                registry.build(named_strategies.apply(self._configuration, self.strategy, tried.parameters))
            except SettingsError as error:
                faults |= dict.fromkeys(error.faults or str(error).splitlines())
            except Exception:  # noqa: BLE001, S112 a constructor that raises is told in the row of its set
                continue
        return list(faults)

    def _path(self, name: str) -> _FieldPath:
        """Return where the value of a name goes. Raises SettingsError: nowhere."""
        symbol, within = "", name
        if name.startswith("symbols.") and name.count(".") > 1:
            # A symbol may hold dots, the name of a parameter none.
            path, dot, term = name.removeprefix("symbols.").partition(".paper.")
            symbol, within = (path, f"paper.{term}") if dot else (path.rpartition(".")[0], path.rpartition(".")[2])
        table, dot, field = within.partition(".")
        model: type[BaseModel] = self._params_type
        if dot and table in {"gate", "paper"}:
            model, within = (Gate, field) if table == "gate" else (PaperTable, field)
            venue_fee = field.split(".")
            if venue_fee[0] == "fees_bps" and len(venue_fee) == 3:
                model, within = FeesTable, venue_fee[2]
        if within not in model.model_fields:
            known = sorted(model.model_fields)
            close = difflib.get_close_matches(within, known, n=1)
            prefix = name.removesuffix(within)
            raise SettingsError(
                f"{name}: there is no such parameter; "
                + (f"did you mean {prefix}{close[0]}?" if close else f"known: {', '.join(known)}")
            )
        return _FieldPath(model, within, symbol)


def _types(annotation: Any) -> Iterator[Any]:
    """Yield the types that an annotation is made of."""
    arguments = get_args(annotation)
    yield from [annotation] if not arguments else (each for inner in arguments for each in _types(inner))


def _looked_at(dimension: Dimension) -> list[Any]:
    if isinstance(dimension, Interval):
        return list(dict.fromkeys((dimension.low, dimension.high)))
    indexes = dict.fromkeys((*range(min(dimension.count, _CHECKED_STEPS)), dimension.count - 1))
    return [dimension.at(index) for index in indexes]


def _is_endless(dimension: Dimension) -> bool:
    return isinstance(dimension, Interval) and not dimension.whole


def _covering(sets: Iterable[ParameterSet], names: list[str]) -> list[ParameterSet]:
    """Return the sets that have a value which none before had, at most `_BUILT_SETS`, and the first set."""
    met: set[tuple[str, str]] = set()
    chosen: list[ParameterSet] = []
    for tried in sets:
        values = {(name, repr(tried.parameters[name])) for name in names}
        if not chosen or not values <= met:
            met |= values
            chosen.append(tried)
        if len(chosen) == _BUILT_SETS:
            break
    return chosen
