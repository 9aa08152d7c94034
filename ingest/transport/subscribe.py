"""Subscribes to the frames, and checks that the server lets us."""

from collections.abc import Callable, Mapping
from contextlib import suppress

from nats.aio.subscription import Subscription
from nats.errors import Error

from ingest.transport.flush import confirm_published
from tasks.clients.nats_client import NatsClient
from tasks.clients.nats_message import read_headers
from tasks.errors import SettingsError

_ANSWER_S = 5

#: Takes the subject, the bytes and the headers of a frame.
TakeFrame = Callable[[str, bytes, Mapping[str, str] | None], None]


async def listen(client: NatsClient, subjects: str, take: TakeFrame) -> list[Subscription]:
    """Subscribe to each of `subjects`, separated by commas; return the subscriptions.

    There is no queue group, because each subscriber needs every frame. The messages of one publisher come in the order
    in which it published them, each as soon as it is read. To end, drain the subscriptions.

    Raises SettingsError: the login may not read one of the subjects. Nothing else would ever report that.
    """

    def take_message(subject: bytes, _: bytes, data: bytes, headers: bytes | None) -> None:
        take(subject.decode(errors="replace"), data, read_headers(headers) if headers else None)

    named = [subject.strip() for subject in subjects.split(",")]
    subscriptions = [await client.subscribe_directly(subject, take_message) for subject in named]
    # Without an answer the subscriptions stand all the same, at the latest when the connection is back.
    with suppress(Error):
        await confirm_published(client, _ANSWER_S)
    if refused := [subject for subject in named if subject.lower() in client.unreadable]:
        raise SettingsError(f"NATS does not let this login read {', '.join(refused)} (NATS_SUBJECTS, or its rights)")
    return subscriptions
