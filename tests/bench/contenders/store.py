"""States in Redis, as one keeps them without a ledger: a hash a symbol, read before an event and written after it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tasks.events import AnyEvent
from tests.bench.application import Work

DONE = "bench:done"
SIGNALS = "bench:signals"
STATES = "bench:states:"


def key(event: AnyEvent) -> str:
    """Return the name of the hash with the states of the event's symbol."""
    return f"{STATES}{event.venue}:{event.symbol}"


def write(pipe: Any, event: AnyEvent, work: Work) -> None:
    """Add to a pipeline what an event came to."""
    changed: Mapping[Any, Any] = work.changed
    pipe.hset(key(event), mapping=changed)
    if work.signals:
        pipe.rpush(SIGNALS, *work.signals)
    pipe.incrby(DONE, work.pools)


def portable(event: AnyEvent) -> Any:
    """Return the event as lists and plain values, for a task's argument."""
    return msgspec.to_builtins(event)


def event(arguments: Any) -> AnyEvent:
    """Undo `portable`."""
    return msgspec.convert(arguments, AnyEvent)  # type: ignore[no-any-return]  # a union is no type to mypy
