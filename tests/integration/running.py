"""Running one batch as a worker does, without Celery."""

from collections.abc import Callable, Sequence
from typing import Any

import redis

from tasks import runner
from tasks.ledger import Keys, Ledger
from tasks.routing import LaneId
from tasks.runner import Summary
from tasks.strategy import AnyStrategy
from tests.unit.strategies_for_tests import Echo

LANE = LaneId("trade", 0)


def having(*strategies: AnyStrategy) -> Callable[..., Sequence[AnyStrategy]]:
    return lambda *_: strategies


def run(ledger: Ledger, sent: Any, *strategies: AnyStrategy) -> Summary | None:
    done = runner.run(sent, ledger, having(*(strategies or (Echo.create({}),))), ())
    return done.summary if done else None


def starts(client: redis.Redis, keys: Keys) -> dict[bytes, bytes]:
    found: Any = client.hgetall(keys.starts(LANE))
    return found  # type: ignore[no-any-return]  # bytes, since responses are not decoded
