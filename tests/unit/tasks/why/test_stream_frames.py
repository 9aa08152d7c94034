"""What the server says of a message of the stream, and without one."""

import asyncio

import pytest

from tasks.clients.nats_client import NatsClient
from tasks.errors import ServerUnavailableError
from tasks.settings import Settings
from tasks.why.lane import SourceFrame
from tasks.why.stream_frames import StreamPull

STORED_NS = 1_723_161_793_500_123_456
#: The second number counts what the consumer has sent, the last one what it has left.
NUMBERS = f"1.42.1.{STORED_NS}.7"


class TakenFrames:
    """A pull that is given messages as nats-py reads them, until its end."""

    def __init__(self) -> None:
        self.frames: list[SourceFrame] = []

    def take(self, frame: SourceFrame) -> bool:
        self.frames.append(frame)
        return False

    async def given(self, reply: str, headers: bytes | None = None) -> bool:
        """Return whether it is over. Raises why it can't go on."""
        pull = StreamPull(NatsClient(Settings()), "FRAMES.why", 10**9, self.take)
        pull._on_message(b"binance.btcusdt@trade", reply.encode(), b"{}", headers)
        if pull._end.done():
            pull._end.result()
        return pull._end.done()


@pytest.mark.parametrize("before", ["$JS.ACK.FRAMES.why", "$JS.ACK.hub.Xy12.FRAMES.why"])
def test_a_reply_dates_and_numbers_its_message_with_or_without_a_domain(before: str):
    pull = TakenFrames()
    numbers = NUMBERS if "hub" not in before else f"{NUMBERS}.random"
    assert not asyncio.run(pull.given(f"{before}.{numbers}"))
    [frame] = pull.frames
    assert (frame.subject, frame.seq, frame.raw) == ("binance.btcusdt@trade", 42, b"{}")
    assert abs(frame.at_ns - STORED_NS) <= 1_000
    assert frame.at_ns == frame.stored_at_ns


@pytest.mark.parametrize("reply", ["$JS.ACK.FRAMES.why", "_INBOX.somebody", "$JS.ACK.FRAMES.why.1.x.1.1.7"])
def test_what_somebody_else_writes_to_the_inbox_is_no_message(reply: str):
    with pytest.raises(ServerUnavailableError, match="none of a stream"):
        asyncio.run(TakenFrames().given(reply))


def test_a_message_that_is_missing_is_told():
    with pytest.raises(ServerUnavailableError, match="were lost on the way after 0"):
        asyncio.run(TakenFrames().given(f"$JS.ACK.FRAMES.why.1.42.2.{STORED_NS}.7"))


@pytest.mark.parametrize("status", ["404 No Messages", "408 Request Timeout", "408"])
def test_that_there_is_nothing_more_ends_the_reading(status: str):
    assert asyncio.run(TakenFrames().given("", f"NATS/1.0 {status}\r\n\r\n".encode()))


def test_a_heartbeat_does_not_end_it():
    assert not asyncio.run(TakenFrames().given("", b"NATS/1.0 100 Idle Heartbeat\r\n\r\n"))


@pytest.mark.parametrize(
    ("headers", "said"),
    [(b"NATS/1.0 409 Consumer Deleted\r\n\r\n", "Consumer Deleted"), (b"NATS/1.0 503\r\n\r\n", "503")],
)
def test_any_other_status_is_why_it_can_not_be_read_on(headers: bytes, said: str):
    with pytest.raises(ServerUnavailableError, match=f"can't be read on: {said}"):
        asyncio.run(TakenFrames().given("", headers))
