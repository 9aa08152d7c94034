"""Whether a NATS server counts as there: it answers a ping, or goes on to send messages."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from tasks.clients.nats_client import NatsClient
from tasks.settings import Settings

WITHIN_S = 0.1


class Stub(NatsClient):
    """A client without a server; what the server does comes from the test."""

    def __init__(self, does: Callable[["Stub", "asyncio.Future[bool]"], None], *, connected: bool = True) -> None:
        super().__init__(Settings())
        self._does, self._stands = does, connected

    @property
    def is_connected(self) -> bool:
        return self._stands

    async def _send_ping(self, future: "asyncio.Future[bool] | None" = None) -> None:
        assert future is not None
        self._does(self, future)

    def hear(self) -> None:
        self.stats["in_msgs"] += 1

    def go_on_hearing(self) -> None:
        self.hear()
        asyncio.get_running_loop().call_later(WITHIN_S / 20, self.go_on_hearing)

    def lose(self) -> None:
        self._stands = False


def answers_late(_: Stub, answered: "asyncio.Future[bool]") -> None:
    asyncio.get_running_loop().call_later(WITHIN_S * 0.75, lambda: answered.set_result(True))


@pytest.mark.parametrize(
    ("does", "there"),
    [
        (lambda _, answered: answered.set_result(True), True),
        (answers_late, True),
        (lambda client, _: client.go_on_hearing(), True),
        (lambda client, _: client.hear(), False),
        (lambda *_: None, False),
        (lambda client, _: client.lose(), True),
    ],
    ids=["answers", "answers late", "sends messages", "had sent some before", "is silent", "connection lost"],
)
async def test_a_server_is_there_that_answers_or_still_sends(does: Callable[..., None], there: bool):  # noqa: FBT001 a case
    assert await Stub(does).answers(WITHIN_S) is there


async def test_without_a_connection_nobody_is_asked():
    assert await Stub(lambda *_: pytest.fail("asked"), connected=False).answers(WITHIN_S)


class LostTransport:
    """A connection that is lost: its end has not come yet."""

    def __init__(self) -> None:
        self.ended = asyncio.get_running_loop().create_future()

    def close(self) -> None: ...

    async def wait_closed(self) -> None:
        await self.ended


async def reconnecting() -> NatsClient:
    """Return a client that waits for the end of a lost connection, to reconnect then."""
    client = NatsClient(Settings())
    lost = LostTransport()
    client._transport = lost  # type: ignore[assignment]  # all of it that is asked for
    client._flush_queue = asyncio.Queue()
    client._reconnection_task = asyncio.create_task(lost.wait_closed())
    await asyncio.sleep(0)
    return client


async def test_a_client_that_reconnects_is_closed_without_an_error():
    client = await reconnecting()
    await client.close()
    assert client.is_closed


async def test_an_attempt_that_misses_that_it_was_cancelled_ends_with_its_client():
    """Python 3.11's `wait_for` drops the cancellation where what it waits for, a connection, has just been made."""

    async def attempt() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    client = await reconnecting()
    client._reconnection_task = asyncio.create_task(attempt())
    await asyncio.sleep(0)
    await client.close()
    assert client._reconnection_task.done()


async def test_who_is_cancelled_while_it_closes_a_client_ends():
    client = await reconnecting()
    client._reconnection_task = None
    closing = asyncio.create_task(client.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
