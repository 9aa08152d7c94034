"""The tables of a strategies file below a pool: a strategy, its shadow, and what either has of its own for a symbol. Pure."""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from tasks.configuration.gate import OPEN, Gate
from tasks.paper import PaperTable


class SymbolConfiguration(BaseModel):
    """What a strategy has of its own for one symbol."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    params: dict[str, Any] = {}
    paper: PaperTable | None = None

    @model_validator(mode="before")
    @classmethod
    def _apart(cls, table: Any) -> Any:
        return _params_apart(table, ("paper",))

    @model_serializer
    def _together(self) -> dict[str, Any]:
        return self.params | _dumped_paper(self.paper)


class VersionConfiguration(BaseModel):
    """A strategy of a pool, or a shadow. In files its parameters stand beside `gate`, `paper` and `symbols`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Names in files that are no parameters.
    reserved: ClassVar[tuple[str, ...]] = ("gate", "paper", "symbols")

    params: dict[str, Any] = {}
    gate: Gate = OPEN
    paper: Annotated[PaperTable | None, Field(description="terms of the paper account that differ for it")] = None
    #: In files the parameters of a symbol stand beside its `paper`.
    symbols: Annotated[dict[str, SymbolConfiguration], Field(description="what differs for a symbol")] = {}

    @model_validator(mode="before")
    @classmethod
    def _apart(cls, table: Any) -> Any:
        return _params_apart(table, cls.reserved)

    @model_serializer
    def _together(self) -> dict[str, Any]:
        symbols = {symbol: each.model_dump() for symbol, each in self.symbols.items()}
        rest = {"gate": self.gate.model_dump(exclude_defaults=True), "symbols": symbols}
        return self.params | {name: value for name, value in rest.items() if value} | _dumped_paper(self.paper)


class StrategyConfiguration(VersionConfiguration):
    """One strategy of a pool."""

    reserved: ClassVar[tuple[str, ...]] = ("alias", *VersionConfiguration.reserved)

    alias: Annotated[
        str, Field(pattern=r"^([A-Za-z0-9_-]{1,64})?$", description="the name by which other systems know it")
    ] = ""

    @model_serializer
    def _with_alias(self) -> dict[str, Any]:
        return ({"alias": self.alias} if self.alias else {}) | self._together()


class ShadowConfiguration(VersionConfiguration):
    """A second version of a strategy of the pool, run beside it. In files its parameters stand beside `of` and the rest."""

    reserved: ClassVar[tuple[str, ...]] = ("of", "emits", *VersionConfiguration.reserved)

    of: Annotated[str, Field(description="the strategy that it shadows, as the pool names it")]
    emits: Annotated[bool, Field(description="its signals go out instead of those of the strategy that it shadows")] = (
        False
    )

    @model_serializer
    def _with_role(self) -> dict[str, Any]:
        return {"of": self.of} | ({"emits": True} if self.emits else {}) | self._together()


def _params_apart(table: Any, reserved: tuple[str, ...]) -> Any:
    """Put what has no reserved name of its own under `params`."""
    if not isinstance(table, dict):
        return table
    params = {name: value for name, value in table.items() if name not in reserved}
    return {"params": params} | {name: table[name] for name in reserved if name in table}


def _dumped_paper(table: PaperTable | None) -> dict[str, Any]:
    """Return the table under its name; an empty one stays, because it opens the account."""
    return {} if table is None else {"paper": table.model_dump(mode="json", exclude_none=True)}
