"""Follow the side of the book that has been heavier for ten seconds (book depth)."""

from collections.abc import Iterable
from math import expm1, fsum
from typing import Annotated

from pydantic import Field

from tasks.events import Depth, Level
from tasks.strategy import Params, Signal, State, Strategy

#: A book says nothing of the time beyond a second after it: a hole in the feed must not make one book the mean.
_LONGEST_STEP_MS = 1_000


class DepthPressureParams(Params):
    """How slowly to judge, and how much pressure is enough."""

    levels: Annotated[int, Field(ge=1, le=20, description="Best levels of each side that are weighed.")] = 20
    half_life_s: Annotated[
        float, Field(gt=0, le=600, description="Age at which an imbalance counts half in the mean, in seconds.")
    ] = 10.0
    threshold: Annotated[
        float, Field(gt=0, lt=1, description="Mean imbalance above which to buy, below its negative to sell.")
    ] = 0.4
    warmup_books: Annotated[
        int, Field(ge=0, le=100_000, description="Books before the first signal: ten seconds of a 100 ms feed.")
    ] = 100


class DepthPressureState(State):
    """The mean so far."""

    #: Exponentially weighted mean of the imbalance, -1 to 1.
    mean: float = 0.0
    #: Event time of the newest book, unix milliseconds; 0 before the first.
    time_ms: int = 0
    #: What the mean says: +1 buy, -1 sell, 0 neither.
    side: int = 0


class DepthPressure(Strategy[DepthPressureParams, DepthPressureState]):
    """Weigh all levels of the book, near ones more, and average over time.

        weight    = 1 / (1 + |price - best price of its side| / spread)               (no unit)
        imbalance = (bids - asks) / (bids + asks), each a sum of quantity * weight    (-1 to 1)
        mean     += (imbalance - mean) * (1 - 2^(-seconds since the last book / 10))
    """

    name = "depth_pressure"
