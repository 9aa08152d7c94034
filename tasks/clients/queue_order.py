"""The order in which a worker looks at its queues: in turn, but slices of sweeps only where nothing else waits."""

from typing import Any

from kombu.utils.scheduling import round_robin_cycle

from tasks.protocol.task_name import RESEARCH_QUEUE

#: Its annotations say less than it does.
_InTurn: Any = round_robin_cycle


class LiveFirst(_InTurn):  # type: ignore[misc]  # on purpose
    """Kombu's order, with the research queue last."""

    def consume(self, n: int) -> list[str]:
        """Return the queues, in the order in which they are looked at."""
        return sorted(super().consume(n), key=lambda queue: queue == RESEARCH_QUEUE)
