"""A delivery with the permissions of its user in docs/security.md, and no others."""

import asyncio
import json
from contextlib import closing

import redis

from tasks.deliver.answers import HeldUpError, RefusedError
from tasks.deliver.delivery import Backoff, Delivery
from tasks.deliver.petrosa_dialect import PetrosaDialect
from tasks.deliver.selection import Selection
from tasks.deliver.send_rate import SendRate
from tasks.deliver.signal_fields import SignalFields, decode
from tasks.deliver.status import DeliveryStatus
from tasks.event_loop import end
from tasks.ledger import LedgerKeys, delivery_states
from tasks.ledger.deliveries import DeliveryStore
from tasks.settings import Settings
from tests.support.servers.nats_logins import SECRET
from tests.support.servers.receiver import identified
from tests.support.waiting import HANGS_S


class FailingSink:
    """Holds the first signal up once, and refuses the second one."""

    held_up = False

    async def open(self) -> None: ...

    async def send(self, signal: SignalFields, packed: bytes) -> None:  # noqa: ARG002 as every sink
        if not self.held_up:
            self.held_up = True
            raise HeldUpError("later")
        if signal.id == "2":
            raise RefusedError("never")

    async def close(self) -> None: ...


def as_user(url: str, role: str) -> str:
    return url.replace("//", f"//rs-{role}:{SECRET}-{role}@")


async def test_a_delivery_needs_no_more_than_the_rights_of_the_docs(url: str):
    admin, keys = redis.Redis.from_url(url), LedgerKeys("rs")
    for number in (1, 2, 3):
        admin.xadd(keys.signals, {"signal": identified(number)})
    admin.acl_log_reset()
    store = DeliveryStore(Settings(redis_url=as_user(url, "deliver")), "d", "webhook", "start")
    status = DeliveryStatus("d", "webhook")
    delivery = Delivery("d", store, FailingSink(), Selection(), SendRate(0), status, Backoff(0.001, 0.001, 0))
    tasks = [asyncio.create_task(delivery.run()), asyncio.create_task(delivery.renew())]
    async with asyncio.timeout(HANGS_S):
        while status.counts["sent"] < 2:
            await asyncio.sleep(0.01)
    await end(*tasks)
    await store.lease.renew()
    await store.close()
    operator = redis.Redis.from_url(as_user(url, "operator"))
    [standing] = delivery_states.read_all([operator], keys)
    assert (standing.sent, standing.refused, standing.running) == (2, 1, False)
    assert delivery_states.forget([operator], keys, "d")
    assert delivery_states.read_all([admin], keys) == []
    assert admin.acl_log() == []


async def test_petrosas_dialect_reads_aliases_with_those_rights(url: str):
    packed = identified(1)
    with redis.Redis.from_url(url) as admin:
        known = {"skew": {"strategy": "orderbook_skew", "signals": ["orderbook_skew"]}}
        admin.hset(LedgerKeys("rs").configuration, "aliases", json.dumps(known))
        with closing(PetrosaDialect(Settings(redis_url=as_user(url, "deliver")))) as dialect:
            assert (await dialect.intent(decode(packed), packed)).name == "skew"
