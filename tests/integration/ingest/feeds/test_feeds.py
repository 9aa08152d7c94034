"""Simulator and replay on a real NATS server, and what their command lines say."""

import asyncio
import json
import os
from collections.abc import Callable, Iterable, MutableMapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from compose.local.processes import Instance
from compose.local.servers import start_nats
from ingest.feeds.publisher import FeedConnection
from ingest.feeds.replay import CHUNK_LINES, replay
from ingest.feeds.simulate import SimulationPlan, simulate
from ingest.transport.flush import confirm_published
from tasks import frames
from tasks.errors import NotStoredError, ServerUnavailableError
from tasks.events import Depth, Trade
from tasks.frames import model
from tasks.protocol.ingest_status import STATUS_SUBJECT, IngestStatus, encode
from tasks.settings import Settings
from tests.support.feeds import Listener, envelope, listening, text, trade, until, write_recording
from tests.support.servers.proxy import Proxy
from tests.support.starting import start
from tests.support.waiting import HANGS_S, cancelled

#: Nothing listens there.
NOWHERE = "nats://127.0.0.1:1"


def recording(path: Path, count: int) -> list[bytes]:
    write_recording(path, [envelope(trade(number), 10**18 + number) for number in range(1, count + 1)])
    return path.read_bytes().splitlines()


async def never_past(settings: Settings, path: Path, speed: float | None = None) -> None:
    await replay(settings, [path], speed, lambda _: False)


def warnings(entries: Iterable[MutableMapping[str, Any]]) -> list[MutableMapping[str, Any]]:
    return [entry for entry in entries if entry["log_level"] == "warning"]


def _more_than(listener: Listener, count: int) -> bool:
    return len(listener.messages) > count


async def test_a_simulation_publishes_on_its_subjects_and_ends_after_its_seconds(nats_url):
    async with listening(nats_url) as listener:
        plan = SimulationPlan(["BTCUSDT", "CHRUSDT"], "usdm", rate=2000, seed=3, seconds=0.5)
        await asyncio.wait_for(simulate(Settings(nats_url=nats_url), plan), HANGS_S)
        await confirm_published(listener.client)

        assert 500 < len(listener.messages) < 2000
        for subject, raw in listener.messages:
            assert subject == f"binance.{json.loads(raw)['stream']}"
            event = frames.parse(raw, model.FrameMetadata(subject, 1, 1))
            assert isinstance(event, Depth | Trade)
            assert event.venue == "usdm"


@pytest.mark.parametrize("source", ["core", "jetstream"])
async def test_a_simulation_ends_after_its_seconds_while_nats_is_unavailable(source):
    plan = SimulationPlan(["BTCUSDT"], "spot", rate=None, seed=None, seconds=0.2)
    with pytest.raises(ServerUnavailableError, match="was not there: nothing was published"):
        await asyncio.wait_for(simulate(Settings(nats_url=NOWHERE, ingest_source=source), plan), HANGS_S)


@pytest.mark.parametrize("source", ["core", "jetstream"])
async def test_a_simulation_ends_after_its_seconds_when_nats_becomes_unavailable(source):
    with Instance("simulation") as instance:
        server, url = start_nats(instance, jetstream=source == "jetstream")
        settings = Settings(nats_url=url, ingest_source=source)
        plan = SimulationPlan(["BTCUSDT"], "spot", rate=1000, seed=None, seconds=2)
        async with listening(url) as listener:
            task = asyncio.create_task(simulate(settings, plan))
            await until(lambda: _more_than(listener, 0), "the first frame")
        instance.kill(server)
        expected = nullcontext() if source == "core" else pytest.raises(NotStoredError, match="not known to be stored")
        with expected:
            await asyncio.wait_for(task, HANGS_S)


async def test_a_replay_of_the_exchanges_own_frames_names_their_streams(nats_url, tmp_path):
    own = [trade(1), {"data": trade(2)}, {"e": "listStatus", "E": trade(3)["E"]}]
    path = write_recording(tmp_path / "own.jsonl", own)

    async with listening(nats_url) as listener:
        await never_past(Settings(nats_url=nats_url), path)
        await until(lambda: _more_than(listener, 2), "three frames")
    subjects = ["binance.btcusdt@trade", "binance.btcusdt@trade", "binance.nameless"]
    assert listener.messages == list(zip(subjects, path.read_bytes().splitlines(), strict=True))


async def test_a_replay_publishes_a_venue_neutral_line_on_its_own_subject(nats_url, tmp_path):
    frame = {"schema": "market/1", "venue": "kraken", "kind": "trade", "symbol": "BTC/USD", "received_at": 10**18}
    (tmp_path / "neutral.jsonl").write_bytes(text(frame) + b"\n")

    async with listening(nats_url, "market.>") as listener:
        await never_past(Settings(nats_url=nats_url), tmp_path / "neutral.jsonl")
        await until(lambda: listener.messages, "the frame")
    assert listener.messages == [("market.kraken.trade.BTC%2FUSD", text(frame))]


async def test_a_replay_publishes_every_line_unchanged_and_in_order(nats_url, tmp_path):
    lines = recording(tmp_path / "some.jsonl", 3 * CHUNK_LINES + 5)

    async with listening(nats_url) as listener:
        await never_past(Settings(nats_url=nats_url), tmp_path / "some.jsonl")
        await until(lambda: len(listener.messages) == len(lines), "all lines")
        assert listener.frames == lines
        assert set(listener.subjects) == {"binance.btcusdt@trade"}


async def test_nobody_answering_means_one_warning_and_no_waiting(nats_url, tmp_path):
    lines = recording(tmp_path / "some.jsonl", 4 * CHUNK_LINES)

    async with listening(nats_url) as listener:
        with capture_logs() as entries:
            await never_past(Settings(nats_url=nats_url), tmp_path / "some.jsonl")
        await until(lambda: len(listener.messages) == len(lines), "all lines")
    assert len(warnings(entries)) == 1


async def test_a_replay_waits_while_ingest_is_full_and_while_it_is_gone(nats_url, tmp_path):
    lines = recording(tmp_path / "some.jsonl", 3 * CHUNK_LINES)
    held, asked = 0, 0

    async def answer(message) -> None:
        nonlocal asked
        asked += 1
        await message.respond(encode(IngestStatus(held_bytes=held, bound_bytes=100, held_frames=0)))

    async def asked_again(times: int) -> None:
        before = asked
        await until(lambda: asked >= before + times, "further questions")

    async with listening(nats_url) as listener, listening(nats_url, "none.>") as ingest:
        subscription = await ingest.client.subscribe(STATUS_SUBJECT, cb=answer)
        await confirm_published(ingest.client)
        # Given an ingest that is full from the beginning.
        held = 51
        with capture_logs() as entries:
            task = asyncio.create_task(never_past(Settings(nats_url=nats_url), tmp_path / "some.jsonl"))
            await asked_again(5)
            assert listener.messages == []
            # When it is gone, it is waited for, since it had answered.
            await subscription.unsubscribe()
            await until(lambda: any("waiting until ingest" in entry["event"] for entry in entries), "a warning")
            assert listener.messages == []
        # When it is back and empty, all comes.
        held = 0
        await ingest.client.subscribe(STATUS_SUBJECT, cb=answer)
        await asyncio.wait_for(task, HANGS_S)
        await until(lambda: len(listener.messages) == len(lines), "all lines")
        assert listener.frames == lines


async def test_a_cut_connection_loses_no_line_of_a_replay(nats_url, tmp_path):
    lines = recording(tmp_path / "some.jsonl", 40 * CHUNK_LINES)

    with Proxy(urlsplit(nats_url).port or 0) as proxy:
        async with listening(nats_url) as listener:
            settings = Settings(nats_url=f"nats://127.0.0.1:{proxy.port}")
            task = asyncio.create_task(never_past(settings, tmp_path / "some.jsonl"))
            for count in (2000, 6000):
                await until(partial(_more_than, listener, count), "some of the lines")
                proxy.cut()
            await asyncio.wait_for(task, HANGS_S)
            await until(lambda: lines[-1] in listener.frames, "the last line")
    assert proxy.accepted == 3
    # Repeats are fine: ingest drops them. What ingest keeps is every line, in order.
    assert list(dict.fromkeys(listener.frames)) == lines


async def test_a_feed_waits_for_nats_with_one_warning_that_says_where_it_looked():
    connection = FeedConnection(Settings(nats_url="nats://user:secret@127.0.0.1:1"))
    with capture_logs() as entries:
        task = asyncio.create_task(connection.open())
        await until(
            lambda: sum(server.reconnects for server in connection.client._server_pool) >= 2, "a second attempt"
        )
        await cancelled(task)
        await connection.close()
    [warning] = warnings(entries)
    assert warning["where"] == "nats://***@127.0.0.1:1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["simulate", "--symbols", "BTC/USDT"], "'BTC/USDT' is not a symbol; did you mean BTCUSDT?"),
        (["simulate", "--symbols", "0"], "a number from 1 to 10000"),
        (["replay", "none.jsonl"], "can't read none.jsonl: No such file or directory"),
        (["replay", "none.jsonl", "--speed", "0"], "--speed takes a number above 0, or max"),
        (["binance", "BTC/USDT"], "did you mean BTCUSDT?"),
        (["binance", "BTCUSDT", "--streams", "depth20,liquidations"], "no stream 'liquidations' on spot (did you mean"),
        (["binance", "BTCUSDT", "--streams", "markPrice"], "markPrice is of futures only, not of spot"),
        (["binance", "BTCUSD_PERP"], "BTCUSD_PERP is of COIN-M futures: --venue coinm"),
        (["binance", "BTCUSDT", "--venue", "coinm"], "whose symbols are like BTCUSD_PERP"),
        (["binance", "BTCUSDT", "--levels", "50"], "--levels takes 5, 10, 20 with --books top, not 50"),
        (["record", "none/here.jsonl"], "can't write none/here.jsonl: No such file or directory"),
    ],
)
def test_what_goes_wrong_is_one_line_and_status_1(arguments, said):
    ended = start(["ingest", *arguments], os.environ | {"NATS_URL": NOWHERE})

    assert ended.returncode == 1
    errors = ended.stderr.splitlines()
    assert len(errors) == 1, ended.stderr
    assert errors[0].startswith("error: ")
    assert said in errors[0]


def _cut(recorded: bytes) -> bytes:
    return recorded[:-9]


def _overwrite(recorded: bytes) -> bytes:
    """Overwrite the brace with which the third line begins."""
    first, second, third = recorded.splitlines(keepends=True)
    return first + second + b"\0" + third[1:]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_overwrite, ', line 3 is not {"stream", "data", "received_at"}: '),
        (
            _cut,
            " is damaged or cut short after line 2: the next one ends in its middle; --salvage uses what comes before",
        ),
    ],
)
def test_a_replay_of_a_damaged_recording_ends_with_its_line(
    tmp_path: Path, damage: Callable[[bytes], bytes], said: str
):
    file = write_recording(tmp_path / "one.jsonl", [envelope(trade(number), number) for number in (1, 2, 3)])
    file.write_bytes(damage(file.read_bytes()))
    # It would wait for a server.
    ended = start(["ingest", "replay", str(file), "--speed", "max"], os.environ | {"NATS_URL": NOWHERE})
    assert ended.returncode == 1
    [error] = ended.stderr.splitlines()
    assert error.startswith(f"error: {file}{said}")


@pytest.mark.parametrize("arguments", [["simulate", "--venue", "mars"], ["binance", "BTCUSDT", "--venue", "mars"]])
def test_a_venue_that_a_feed_does_not_know_is_a_wrong_option(arguments):
    ended = start(["ingest", *arguments], os.environ)
    assert ended.returncode == 2
    assert "'mars' is not one of" in " ".join(ended.stderr.split())


@pytest.mark.parametrize("command", ["simulate", "replay", "binance", "record"])
def test_each_help_has_an_example(command):
    ended = start(["ingest", command, "--help"], os.environ)

    assert ended.returncode == 0
    assert f"Example: python -m ingest {command}" in " ".join(ended.stdout.split())
