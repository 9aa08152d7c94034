"""What several strategies compute alike of an event, computed once for the event. Pure.

    @once_per_event
    def imbalance(book: Depth, levels: int) -> float: ...

A pool's strategies see each event one after another, and a sweep runs many parameter sets of one strategy side by side:
all those with equal `levels` share the number.
"""

from collections.abc import Callable, Hashable
from functools import wraps
from typing import TypeVar

from tasks.events import AnyEvent

E = TypeVar("E", bound=AnyEvent)
A = TypeVar("A", bound=Hashable)
R = TypeVar("R")


def once_per_event(compute: Callable[[E, A], R]) -> Callable[[E, A], R]:
    """Return `compute`, called once for each event and argument as long as the next event has not come.

    It must depend on these two only, and what it returns must not be changed by anybody. Events are immutable, so that
    the last one is told by its identity; it stays in memory until the next one comes.
    """
    last: tuple[E | None, dict[A, R]] = None, {}

    @wraps(compute)
    def computed(event: E, argument: A) -> R:
        nonlocal last
        # Read once and replaced as a whole: other threads may be at other events.
        event_of, results = last
        if event_of is event and argument in results:
            return results[argument]
        result = compute(event, argument)
        if event_of is event:
            results[argument] = result
        else:
            last = event, {argument: result}
        return result

    return computed
