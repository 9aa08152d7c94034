"""Flower asks for the lengths of queues with our client."""

import asyncio
from collections.abc import Iterator
from typing import Any

import flower.views
import pytest
import redis

from tasks.ops import flower_queues
from tasks.settings import load


@pytest.fixture
def queue(redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch, client: redis.Redis) -> Iterator[str]:
    """A queue with two tasks on the broker of the settings."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    load.cache_clear()
    client.rpush(namespace, "one", "two")
    yield namespace
    client.delete(namespace)


def test_lengths_are_those_on_the_broker_of_the_settings(queue: str):
    """Flower's own client does not know all of our addresses, such as those of Sentinels."""

    async def lengths() -> list[dict[str, Any]]:
        asked = flower_queues.QueueLengths("redis://nobody.invalid:1/0")
        try:
            found: list[dict[str, Any]] = await asked.queues([queue, f"{queue}-none"])
        finally:
            await asked.redis.aclose()
        return found

    assert {each["name"]: each["messages"] for each in asyncio.run(lengths())} == {queue: 2, f"{queue}-none": 0}


def test_flower_is_told_to_use_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(flower.views, "Broker", None, raising=False)
    flower_queues.install()
    assert flower.views.Broker is flower_queues.QueueLengths
