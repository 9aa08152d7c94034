"""What ingest writes of what it has counted."""

from types import SimpleNamespace
from typing import Any

from ingest.counters import Counted, Counters
from ingest.dispatch.checkpoints import Checkpoints
from ingest.refused_frames import RefusedFrames
from tasks.events import Position
from tasks.protocol.batches import Epoch

SOURCE = "FRAMES@1"


class Ledger:
    """Takes every checkpoint."""

    def __init__(self) -> None:
        self.counted: list[Position] = []

    async def checkpoint(self, epoch: Epoch, frontier: Position, written: Any, lanes: Any) -> bool:  # noqa: ARG002 as the ledger's
        self.counted.append(written.counted)
        return True


class Lanes(list[Any]):
    """No lane, and how far frames were read."""

    source, frontier, last_seq = SOURCE, 40, 40


async def test_frames_that_are_read_again_take_nothing_back_of_what_was_counted():
    ledger, lanes = Ledger(), Lanes()
    counters = Counters()
    source: Any = SimpleNamespace(read=None)
    checkpoints = Checkpoints(ledger, lanes, counters, RefusedFrames(counters), source)  # type: ignore[arg-type]  # as much of them as it asks
    checkpoints.forget(Counted(100))
    for lanes.last_seq in (40, 70, 130):
        assert await checkpoints.write(Epoch(2, "ab"))
    assert [each.seq for each in ledger.counted] == [100, 100, 130]
