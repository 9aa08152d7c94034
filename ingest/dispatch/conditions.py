"""The limits and callbacks that the sender is given."""

from collections.abc import Callable, Collection
from typing import NamedTuple

from ingest.counters import Counted
from ingest.lanes.task_packing import Workforce


class SenderConditions(NamedTuple):
    """External conditions of the sender: the run limit, the workers, whether it may send, and a restart callback."""

    #: How long a run may take.
    run_limit_s: float
    #: Returns the workers; None where they are unknown.
    workforce: Callable[[], Workforce | None] = lambda: None
    #: Returns whether new batches may go out; while they may not, events wait in their lanes.
    may_send: Callable[[], bool] = lambda: True
    #: Called when the source is read again from further back, with the number up to which frames are counted.
    on_restart: Callable[[Counted], None] = lambda _: None
    #: Returns the pools of which nothing may go out: a live worker of theirs can't read their kinds of events.
    held_pools: Callable[[], Collection[str]] = tuple
