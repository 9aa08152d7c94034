"""The frames of a stream that a lane needs, read from a real server without acknowledgements."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from compose.local.servers import free_port
from tasks.errors import RecordingError, ServerUnavailableError
from tasks.frames.model import StreamName
from tasks.settings import Settings
from tasks.why import stream_frames
from tasks.why.lane import SourceFrame
from tasks.why.stream_frames import BATCH, StreamRead
from tests.support.stream_publishing import made, server, to_stream


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server(tmp_path_factory.mktemp("nats")) as (_, _, url):
        yield url


def of_btc(stream: StreamName | None) -> bool:
    return stream is None or stream.symbol == "BTCUSDT"


NAMES = ("btcusdt@trade", "ethusdt@trade", "data")


async def fill(settings: Settings, count: int, names: Sequence[str] = NAMES, **options: object) -> None:
    """Store so many frames of each of several subjects; of the three, one names no symbol."""
    async with made(settings, **options) as client:
        jetstream = client.jetstream(publish_async_max_pending=4 * BATCH)
        for number in range(count):
            for name in names:
                await jetstream.publish_async(f"binance.{name}", str(number).encode())
        await jetstream.publish_async_completed()


def read(settings: Settings, enough: int = 10**9) -> tuple[StreamRead, list[SourceFrame]]:
    taken: list[SourceFrame] = []

    def take(frame: SourceFrame) -> bool:
        taken.append(frame)
        return len(taken) == enough

    return asyncio.run(stream_frames.read(settings, of_btc, take)), taken


@pytest.fixture
def settings(url: str, namespace: str) -> Iterator[Settings]:
    settings = to_stream(url, namespace)
    yield settings
    asyncio.run(_drop(settings))


async def _drop(settings: Settings) -> None:
    async with made(settings) as client:
        await client.jetstream().delete_stream(settings.ingest_stream)


def test_only_frames_that_may_matter_come_in_the_order_of_the_stream(settings):
    count = BATCH + 100
    asyncio.run(fill(settings, count))
    held, taken = read(settings)
    assert held == StreamRead(1, 3 * count)
    assert [frame.subject for frame in taken] == ["binance.btcusdt@trade", "binance.data"] * count
    assert [frame.raw for frame in taken[::2]] == [str(number).encode() for number in range(count)]
    seqs = [frame.seq for frame in taken]
    assert seqs == sorted(seqs)
    assert all(frame.stored_at_ns == frame.at_ns > 0 for frame in taken)


def test_reading_ends_with_the_frame_that_is_enough(settings):
    asyncio.run(fill(settings, 50))
    _, taken = read(settings, enough=3)
    assert len(taken) == 3


def test_a_stream_without_a_frame_that_may_matter_is_not_read(settings):
    asyncio.run(fill(settings, 2, ["ethusdt@trade"]))
    assert read(settings) == (StreamRead(1, 2), [])


def test_what_the_stream_has_discarded_shows_in_its_first_number(url, namespace):
    settings = to_stream(url, namespace)
    asyncio.run(fill(settings, 10, max_msgs=6))
    held, taken = read(settings)
    asyncio.run(_drop(settings))
    assert held == StreamRead(25, 30)
    assert [frame.raw for frame in taken] == [b"8", b"8", b"9", b"9"]


def test_the_consumer_is_taken_off_the_server(settings):
    asyncio.run(fill(settings, 5))
    read(settings)
    assert asyncio.run(_consumers(settings)) == 0


async def _consumers(settings: Settings) -> int:
    async with made(settings) as client:
        info = await client.jetstream().stream_info(settings.ingest_stream)
        return info.state.consumer_count


def test_an_error_of_the_taker_comes_through(settings):
    asyncio.run(fill(settings, 5))

    def fail(_: SourceFrame) -> bool:
        raise RecordingError("what was wrong")

    with pytest.raises(RecordingError, match="what was wrong"):
        asyncio.run(stream_frames.read(settings, of_btc, fail))


def test_a_stream_that_is_not_there_is_one_line(url, namespace):
    with pytest.raises(RecordingError, match=rf"there is no stream {namespace} \(INGEST_STREAM\)"):
        read(to_stream(url, namespace))


def test_a_server_that_is_not_there_is_one_line(tmp_path: Path):
    with pytest.raises(ServerUnavailableError, match="NATS does not answer at"):
        read(to_stream(f"nats://127.0.0.1:{free_port()}"))
