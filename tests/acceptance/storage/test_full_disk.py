"""The disk of NATS is full while a feed publishes: it is told, frames wait, and all are read once when there is room."""

import asyncio
import signal
from itertools import islice
from pathlib import Path

import pytest

from compose.local.processes import Process
from compose.local.stack import Plan, Stack
from tasks.history import recordings
from tasks.ledger.reader import LedgerReader
from tests.support.live_feed import original
from tests.support.servers.exchange import Exchange, recorded, send_all, stay_silent
from tests.support.servers.full_disk import FullNats
from tests.support.stacks.pipeline import backtested, deadletters, digests, finish, ready, replay, running
from tests.support.stream_publishing import stored
from tests.support.waiting import wait_for

pytestmark = pytest.mark.ci

#: Frames before the disk begins to fill, and all of them; bytes for which there is room then.
FIRST, ALL, ROOM = 1_000, 4_000, 300_000
PLAN = Plan(2, "solo", environment={"INGEST_SOURCE": "jetstream"})
SYMBOLS = ("BTCUSDT", "ETHUSDT")


def write(file: Path, frames: list[bytes]) -> Path:
    file.write_bytes(b"".join(frame + b"\n" for frame in frames))
    return file


def wait_for_end(stack: Stack, feed: Process) -> None:
    wait_for(lambda: stack.instance.watch() is not None and feed.returncode is not None, "the feed's end")


def test_a_replay_waits_while_the_disk_of_nats_is_full(recording: Path, tmp_path: Path):
    frames = [line.raw for line in islice(recordings.read(recording), ALL)]
    parts = [write(tmp_path / "1.jsonl", frames[:FIRST]), write(tmp_path / "2.jsonl", frames[FIRST:])]
    with running(PLAN) as stack:
        disk = FullNats(stack.instance, stack.nats)
        replay(stack, parts[:1], "max")
        disk.leave_room(ROOM)
        feed = stack.start_feed(["replay", str(parts[1]), "--speed", "max"])
        wait_for(lambda: "frames are not stored, retrying" in feed.log.read_text(), "the feed's line")
        disk.make_room()
        # The row says that it takes none before it is started again; the feed tries every few seconds.
        refusals = disk.refusals()
        wait_for(lambda: disk.refusals() > refusals, "a refusal though there is room")
        disk.start_again()
        wait_for_end(stack, feed)
        assert feed.returncode == 0, feed.tail()
        live = finish(stack)
        kept, letters = asyncio.run(stored(stack.settings)), deadletters(stack)
    assert kept == frames
    assert (digests(live), live.frames) == (digests(backtested(parts)), ALL)
    assert (live.dropped, letters) == ({}, [])


def unstored(stack: Stack) -> list[str] | None:
    """Return what /ready says of feeds whose frames are not stored; None while nobody answers."""
    findings = ready(stack).get("findings")
    return None if findings is None else [each["says"] for each in findings if each["name"] == "frames_unstored"]


def fill_and_free(stack: Stack, exchange: Exchange, feed: Process) -> None:
    """Watch a live feed fill the disk; make room once all has come from the exchange, and wait until all is stored."""
    disk, reader = FullNats(stack.instance, stack.nats), LedgerReader(stack.settings)
    wait_for(lambda: unstored(stack), "the finding")
    wait_for(lambda: exchange.sent == len(exchange.frames), "the last frame of the exchange")
    disk.make_room()
    disk.start_again()
    wait_for(lambda: reader.counters().of("frames") == ALL, "all frames")
    wait_for(lambda: unstored(stack) == [], "the end of the finding")
    feed.terminate()
    wait_for_end(stack, feed)


async def feed_live(stack: Stack, exchange: Exchange) -> Process:
    async with exchange.open():
        stack.environment["BINANCE_SPOT_URL"] = exchange.url
        feed = stack.start_feed(["binance", *SYMBOLS])
        await asyncio.to_thread(fill_and_free, stack, exchange, feed)
    return feed


def test_a_live_feed_tells_of_a_full_disk_of_nats_and_loses_nothing(recording: Path, tmp_path: Path):
    exchange = Exchange(recorded(recording, ALL, "spot", SYMBOLS), send_all, stay_silent)
    with running(PLAN) as stack:
        FullNats(stack.instance, stack.nats).leave_room(ROOM)
        feed = asyncio.run(feed_live(stack, exchange))
        log = feed.log.read_text()
        live = finish(stack)
        kept, letters = asyncio.run(stored(stack.settings)), deadletters(stack)
    assert (feed.returncode, "frames are not stored, retrying" in log) == (-signal.SIGTERM, True), log
    assert [original(frame) for frame in kept] == exchange.frames
    assert (digests(live), live.frames) == (digests(backtested([write(tmp_path / "kept.jsonl", kept)])), ALL)
    assert (live.dropped, letters) == ({}, [])
