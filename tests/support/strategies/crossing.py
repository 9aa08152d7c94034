"""A strategy whose parameters depend on each other."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from tasks.bars import Bar
from tasks.strategy import Params, Signal, State, Strategy


class CrossingParams(Params):
    fast: Annotated[int, Field(ge=1, le=100)] = 10
    slow: Annotated[int, Field(ge=1, le=1000)] = 20
    weight: float = 1.0
    bar: str = "1m"

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.fast >= self.slow:
            raise ValueError("fast must be below slow")
        return self


class Crossing(Strategy[CrossingParams, State]):
    """Says nothing, on bars that a parameter chooses."""

    name = "crossing"

    def on_bar(self, bar: Bar, state: State) -> Iterable[Signal]:
        return super().on_bar(bar, state)

    @property
    def bars(self) -> Sequence[str]:
        return (self.params.bar,)
