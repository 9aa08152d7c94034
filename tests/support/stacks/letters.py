"""Dead letters of a pipeline that runs, as its ingest and its workers write them."""

import time

import redis

from compose.local.stack import Stack
from tasks.ledger import LedgerKeys
from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import DeadLetter
from tests.support.events import trade


def add_refused(stack: Stack) -> None:
    """Add a frame that is refused every time."""
    _add(stack, DeadLetter("refused", "not JSON", raw=b'{"e": <b>broken</b>', subject="market.x", refusal="not_json"))


def add_condemned(stack: Stack, symbol: str) -> None:
    """Add a trade of a symbol that has no other events: once its strategy is repaired, it is applied."""
    event = trade(symbol=symbol, id=50, time_ms=time.time_ns() // 10**6)
    _add(stack, dead_letters.condemned(3, "trade", event))


def _add(stack: Stack, letter: DeadLetter) -> None:
    with redis.Redis.from_url(stack.redis_url) as client:
        client.xadd(LedgerKeys(stack.settings.namespace).deadletters, {"letter": dead_letters.pack(letter)})
