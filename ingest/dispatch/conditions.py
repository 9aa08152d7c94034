"""What the sender goes by, and whom it tells."""

from collections.abc import Callable
from typing import NamedTuple

from ingest.lanes.task_packing import Workforce


class SenderConditions(NamedTuple):
    """What the sender goes by, beside its lanes."""

    #: How long a run may take.
    run_limit_s: float
    #: Returns who works; None where nobody knows.
    workforce: Callable[[], Workforce | None] = lambda: None
    #: Returns whether new batches may go out; while they may not, events wait in their lanes.
    may_send: Callable[[], bool] = lambda: True
    #: Called when the source is read again from further back, with the number up to which frames are counted.
    on_restart: Callable[[int], None] = lambda _: None
