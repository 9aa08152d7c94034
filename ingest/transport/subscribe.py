"""Subscribes to the frames, and checks that the server lets us."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error

from ingest.transport.flush import confirm_published
from tasks.clients.nats_client import NatsClient
from tasks.errors import SettingsError

_ANSWER_S = 5


async def listen(client: NatsClient, subjects: str, on_message: Callable[[Msg], Awaitable[None]]) -> list[Subscription]:
    """Subscribe to each of `subjects`, separated by commas; return the subscriptions.

    There is no queue group, because each subscriber needs every frame. The messages of one publisher come in the order
    in which it published them. To end, drain the subscriptions one after the other, in the order of the list.

    Raises SettingsError: the login may not read one of the subjects. Nothing else would ever report that.
    """
    named = [subject.strip() for subject in subjects.split(",")]
    subscriptions = await client.subscribe_together(named, on_message)
    # Without an answer the subscriptions stand all the same, at the latest when the connection is back.
    with suppress(Error):
        await confirm_published(client, _ANSWER_S)
    if refused := [subject for subject in named if subject.lower() in client.unreadable]:
        raise SettingsError(f"NATS does not let this login read {', '.join(refused)} (NATS_SUBJECTS, or its rights)")
    return subscriptions
