"""Where a worker's answer to a control command goes is not for its sender to say, who may write less than the worker may."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tasks.ledger import LedgerKeys
from tasks.settings import Settings
from tests.support.waiting import wait_for
from tests.support.workers import odd_entries
from tests.support.workers.process import Channels, Worker, worker
from tests.support.workers.unharmed import unharmed

#: Between the parts of an entry in kombu's table of who is bound to an exchange.
SEPARATOR = "\x06\x16"
ANSWERS = "reply.celery.pidbox"
#: What a sender may write, and where the answer then must not go.
ELSEWHERE: list[dict[str, Any]] = [
    {"exchange": "", "routing_key": "elsewhere"},
    {"exchange": "", "routing_key": "trade"},
    {"exchange": "", "routing_key": "_kombu.binding.trade"},
    {"exchange": "trade", "routing_key": "trade"},
    {"exchange": ["x"], "routing_key": {"a": 1}},
    {"exchange": ANSWERS, "routing_key": ["x"]},
    {"exchange": ANSWERS, "routing_key": "../x"},
]


@pytest.fixture
def one(settings: Settings) -> Iterator[Worker]:
    with worker(settings) as started:
        started.wait_ready()
        yield started


def test_an_answer_goes_to_who_asks_and_into_no_other_queue(
    one: Worker, client: redis.Redis, settings: Settings, keys: LedgerKeys
):
    lanes, prefix = Channels(client, settings, keys), settings.celery_prefix

    def ask(ticket: str, **reply_to: Any) -> None:
        message = {"method": "ping", "arguments": {}, "ticket": ticket, "reply_to": reply_to}
        wait_for(lambda: client.publish(f"{prefix}/0.celery.pidbox", odd_entries.control(message)), "a listener")

    with unharmed(one, lanes):
        # Flower and research may write into this table.
        bound = [("me", "", f"me.{ANSWERS}"), ("poisoned", "", "trade"), ("poisoned", "", "elsewhere")]
        client.sadd(f"{prefix}_kombu.binding.{ANSWERS}", *(SEPARATOR.join(each) for each in bound))
        for reply_to in ELSEWHERE:
            ask("odd", **reply_to)
        ask("poisoned", exchange=ANSWERS, routing_key="poisoned")
        ask("mine", exchange=ANSWERS, routing_key="me")
        wait_for(lambda: client.llen(f"{prefix}me.{ANSWERS}"), f"the answer{one.process.tail()}")
    answers: Any = client.lrange(f"{prefix}me.{ANSWERS}", 0, -1)
    assert [json.loads(answer)["headers"]["ticket"] for answer in answers] == ["mine"]
    assert not client.exists(f"{prefix}elsewhere", keys.deadletters)
    assert one.samples()["worker_refused_commands_total", "reply_to"] == len(ELSEWHERE)
    assert "Traceback" not in one.log()
