"""What the runner calls at each step of a run."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from tasks.configuration.bound_strategy import BoundStrategy
from tasks.engine import RunProgress
from tasks.events import AnyEvent
from tasks.protocol.batches import Batch
from tasks.protocol.outcome import Outcome


class RunObserver:
    """Called at each step of a run; does nothing itself. A worker's is in `run_reporter`.

    Its methods must not raise.
    """

    def expected_s(self, batch: Batch[AnyEvent]) -> float:  # noqa: ARG002 for those that know
        """Return the seconds that a batch will take; 0: unknown."""
        return 0.0

    def running(self, batch: Batch[AnyEvent]) -> AbstractContextManager[None]:  # noqa: ARG002 for those that use it
        """Return what encloses the run of a batch."""
        return nullcontext()

    def progress(
        self,
        batch: Batch[AnyEvent],  # noqa: ARG002 for those that use it
        strategies: Sequence[BoundStrategy],  # noqa: ARG002 for those that use it
    ) -> RunProgress | None:
        """Return where the run of a batch writes its progress; None: nowhere."""
        return None

    def ran(self, began_ns: int, outcome: Outcome) -> list[str]:  # noqa: ARG002 for those that trace
        """Return the trace that each signal belongs to, empty without tracing; `began_ns` is unix nanoseconds."""
        return []

    def newer_state(self, why: str) -> None:
        """Take that a batch needs a worker of a newer release."""

    def committed(self, batch: Batch[AnyEvent], outcome: Outcome) -> None:
        """Take what was committed of a batch."""

    def not_needed(self, batch: Batch[AnyEvent], why: str) -> None:
        """Take that nothing was committed of a batch, and why."""
