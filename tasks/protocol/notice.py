"""Notices: what workers and commands publish on the channel `notices`, a line each. Pure."""

from typing import NamedTuple

from tasks.events import Position
from tasks.protocol.routing import LaneId

#: The notice of a change of the configuration.
CONFIGURATION_NOTICE = "configuration"
#: The notice of a worker that starts, stops, or changes its queues or processes.
WORKERS_NOTICE = "workers"


class Notice(NamedTuple):
    """Notice of a commit from a worker to the sender."""

    lane: LaneId
    epoch: str
    to: Position

    def __str__(self) -> str:
        """Return what goes over the channel."""
        return f"{self.lane.pool}|{self.lane.partition}|{self.epoch}|{self.to}"

    @classmethod
    def parse(cls, text: str) -> "Notice":
        """Read what `str` wrote. Raises ValueError on anything else."""
        pool, partition, epoch, to = text.split("|", 3)
        return cls(LaneId(pool, int(partition)), epoch, Position.parse(to))


class Refusal(NamedTuple):
    """Notice from a worker to the sender that Redis refused the commit of a batch."""

    lane: LaneId
    epoch: str
    why: str

    def __str__(self) -> str:
        """Return what goes over the channel, a line that is no notice for who does not know it."""
        return f"refused|{self.lane.pool}|{self.lane.partition}|{self.epoch}|{self.why}"

    @classmethod
    def parse(cls, text: str) -> "Refusal":
        """Read what `str` wrote. Raises ValueError on anything else."""
        mark, pool, partition, epoch, why = text.split("|", 4)
        if mark != "refused":
            raise ValueError(f"neither a notice nor a refusal: {text!r}")
        return cls(LaneId(pool, int(partition)), epoch, why)
