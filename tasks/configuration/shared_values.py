"""What every strategy has beside its parameters: the values of its gate and its paper account.

Each has the name by which a change takes it: `gate.min_confidence`, `paper.fees_bps.usdm.taker`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel

from tasks.configuration import file_schema
from tasks.configuration.catalog import Parameter
from tasks.configuration.gate import Gate
from tasks.configuration.model import Configuration
from tasks.paper import PaperTable
from tasks.paper.terms import DEFAULT_FEES, OTHER_FEES, FeesTable

_TYPES = {"boolean": "bool", "integer": "int", "number": "float"}
_BOUNDS = {"minimum": "ge", "exclusiveMinimum": "gt", "maximum": "le", "exclusiveMaximum": "lt"}
_FEES = "fees_bps"


def schema(venues: Iterable[str]) -> Iterator[Parameter]:
    """Yield all of them, with fees for these venues; a default of None: what holds for all, or else what is told."""
    yield from _fields("gate", Gate)
    for each in _fields("paper", PaperTable):
        about, _, unless_set = each.description.rpartition("; ")
        yield each._replace(description=f"{about}; unless set {unless_set}")
    for venue in venues:
        charged = DEFAULT_FEES.get(venue, OTHER_FEES)
        for each in _fields(f"paper.{_FEES}.{venue}", FeesTable):
            fee = getattr(charged, each.name.rpartition(".")[2])
            yield each._replace(description=f"{each.description}; unless set {fee:g}")


def _fields(table: str, model: type[BaseModel]) -> Iterator[Parameter]:
    for name, field in file_schema.fields(model).items():
        kind = _TYPES.get(field.get("type", ""))
        if kind is not None:
            bounds = {word: field[each] for each, word in _BOUNDS.items() if each in field}
            default, description = model.model_fields[name].default, field.get("description", "")
            yield Parameter(f"{table}.{name}", kind, default, bounds, None, description)


def venues(configuration: Configuration) -> set[str]:
    """Return the venues of which there are fees by default or in a configuration."""
    tables = [configuration.paper]
    for pool in configuration.pools.values():
        for version in pool.versions().values():
            tables += [version.paper, *(each.paper for each in version.symbols.values())]
    return set(DEFAULT_FEES).union(*(table.fees_bps or () for table in tables if table))


def written(gate: Gate | None, paper: PaperTable | None) -> dict[str, Any]:
    """Return those that a gate and a paper table say; what they leave out has its default."""
    tables = {"gate": gate.model_dump(exclude_defaults=True)} if gate else {}
    terms = paper.model_dump(mode="json", exclude_none=True) if paper else {}
    for venue, fees in terms.pop(_FEES, {}).items():
        tables[f"paper.{_FEES}.{venue}"] = fees
    tables["paper"] = terms
    return {f"{table}.{name}": value for table, values in tables.items() for name, value in values.items()}
