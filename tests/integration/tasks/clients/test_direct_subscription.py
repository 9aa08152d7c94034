"""A subscription whose messages are taken as they are read."""

import asyncio

from ingest.transport.flush import confirm_published
from tasks.clients.nats_client import NatsClient
from tasks.settings import Settings

MESSAGES = 500


async def ignore(_: Exception) -> None: ...


async def test_it_needs_no_queue_and_no_task_of_its_own(nats_url: str, namespace: str):
    client, taken = NatsClient(Settings(nats_url=nats_url)), list[bytes]()
    await client.open("test", ignore)
    before = asyncio.all_tasks()
    subscription = await client.subscribe_directly(namespace, lambda *message: taken.append(bytes(message[2])))
    for number in range(MESSAGES):
        await client.publish(namespace, str(number).encode())
    assert asyncio.all_tasks() == before
    await confirm_published(client)  # its echo comes after them
    assert taken == [str(number).encode() for number in range(MESSAGES)]
    assert subscription.delivered == subscription.pending_msgs == 0, "nats-py's queue has seen none"
    await client.close()
