"""Follow hidden orders: price levels that refill again and again, or hold while they are traded against (book depth)."""

from collections.abc import Iterable, Iterator
from itertools import islice
from math import sqrt
from typing import Annotated, NamedTuple

import msgspec
from pydantic import Field

from tasks.events import Depth
from tasks.events import Level as BookLevel
from tasks.strategy import Params, Signal, State, Strategy


class Level(msgspec.Struct, array_like=True):
    """What is known of one price of one side."""

    #: Event time of the last book that showed it, unix milliseconds.
    seen_ms: int
    #: The quantity it is measured against: its highest since it last fell or refilled, base units.
    full: float
    #: When it fell below half of that, unix milliseconds; 0 when it did not.
    fell_ms: int
    #: Times of its refills within the window, oldest first, unix milliseconds.
    refills_ms: list[int]
    #: Since when its quantity has been steady, unix milliseconds.
    steady_ms: int
    #: Books in that time, the mean of their quantity, and the sum of squares about it.
    books: int
    mean: float
    squares: float
    #: How often its quantity changed in that time.
    changes: int
    #: The quantity last seen.
    quantity: float
    #: When it last gave a signal, unix milliseconds; 0 before.
    said_ms: int
