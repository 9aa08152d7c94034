"""Dead letters of a pipeline that runs, as its ingest and its workers write them."""

import time

import redis

from compose.local.stack import Stack
from tasks.ledger import LedgerKeys
from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import DeadLetter
from tests.support.events import trade


def add_refused(stack: Stack) -> str:
    """Add a frame that is refused every time; return the letter's id."""
    return _add(
        stack, DeadLetter("refused", "not JSON", raw=b'{"e": <b>broken</b>', subject="market.x", refusal="not_json")
    )


def add_condemned(stack: Stack, symbol: str) -> str:
    """Add a trade of a symbol that has no other events: once its strategy is repaired, it is applied. Return its id."""
    event = trade(symbol=symbol, id=50, time_ms=time.time_ns() // 10**6)
    return _add(stack, dead_letters.condemned(3, "trade", event))


def _add(stack: Stack, letter: DeadLetter) -> str:
    with redis.Redis.from_url(stack.redis_url, decode_responses=True) as client:
        packed = {"letter": dead_letters.pack(letter)}
        return str(client.xadd(LedgerKeys(stack.settings.namespace).deadletters, packed))
