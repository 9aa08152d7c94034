"""Running batches as a worker does, without Celery."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import redis
from redis.connection import AbstractConnection

from tasks.configuration.bound_strategy import BoundStrategy
from tasks.events import AnyEvent
from tasks.ledger import Ledger, LedgerKeys
from tasks.protocol.batches import Batch
from tasks.protocol.routing import LaneId
from tasks.strategy import AnyStrategy
from tasks.worker import runner
from tasks.worker.run_observer import RunObserver
from tasks.worker.runner import TaskSummary
from tests.support.strategies import Echo, bound

LANE = LaneId("trade", 0)


def having(*strategies: AnyStrategy | BoundStrategy) -> Callable[..., Sequence[BoundStrategy]]:
    found = bound(*strategies)
    return lambda *_: found


#: However slow the machine is, what one task carries is committed in one go.
TOGETHER_S = 3_600.0


def run(
    ledger: Ledger, sent: Any, *strategies: AnyStrategy | BoundStrategy, observer: RunObserver | None = None
) -> TaskSummary | None:
    """Run a task of one batch; return None where it was not needed."""
    dones = runner.run([sent], ledger, having(*(strategies or (Echo.create({}),))), observer=observer)
    return runner.summary(dones) if dones else None


def run_together(
    ledger: Ledger,
    sent: Sequence[Batch[AnyEvent]],
    *strategies: AnyStrategy | BoundStrategy,
    commit_after_s: float = TOGETHER_S,
    observer: RunObserver | None = None,
) -> int:
    """Run a task of several batches; return how many of them were committed."""
    having_them = having(*(strategies or (Echo.create({}),)))
    return len(runner.run(sent, ledger, having_them, observer=observer, commit_after_s=commit_after_s))


def starts(client: redis.Redis, keys: LedgerKeys, lane: LaneId = LANE) -> dict[bytes, bytes]:
    found: Any = client.hgetall(keys.starts(lane))
    return found  # type: ignore[no-any-return]  # bytes, since responses are not decoded


def round_trips(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return a list to which every round trip to Redis from now on is added."""
    made: list[object] = []
    send: Any = AbstractConnection.send_packed_command

    def counted(*arguments: Any, **options: Any) -> None:
        made.append(arguments)
        send(*arguments, **options)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", counted)
    return made
