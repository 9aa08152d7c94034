"""The backtest over parts of a recording: nothing about how it is run changes what comes out."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tasks import backtest
from tasks.backtest import Backtest
from tasks.configuration import Configuration
from tasks.errors import RecordingError
from tasks.events import AnyEvent
from tasks.frames import parse
from tasks.frames.model import FrameMetadata, RefusedFrame, SkippedFrame
from tasks.history.recordings import RecordingLine, read
from tasks.protocol.batches import pack_event, unpack_event

ROOT = Path(__file__).resolve().parents[4]
SPOT, USDM = "spot", "usdm"
#: Lines of each venue; enough for a few hundred signals.
PART = 3_000


def configuration(partitions: int = 8, skew: Mapping[str, Any] | None = None) -> Configuration:
    depth = {"orderbook_skew": dict(skew or {}), "spread_liquidity": {"wide_ratio": 1.2}}
    return Configuration.model_validate(
        {
            "pools": {
                "depth": {"kinds": ["depth"], "partitions": partitions, "strategies": depth},
                "trade": {"kinds": ["trade"], "partitions": partitions, "strategies": {"trade_momentum": {}}},
            }
        }
    )


@pytest.fixture(scope="session")
def part(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the first lines of each venue, as files."""
    folder = tmp_path_factory.mktemp("parts")
    made = {}
    for name in (SPOT, USDM):
        made[name] = folder / f"{name}.jsonl"
        made[name].write_bytes(b"".join(line.raw + b"\n" for line in islice(of_venue(recording, name), PART)))
    return made


def of_venue(file: Path, venue: str) -> Iterator[RecordingLine]:
    for line in read(file):
        event = parse(line.raw, FrameMetadata(line.stream, 1, line.received_at_ns))
        if isinstance(event, AnyEvent) and event.venue == venue:
            yield line


@pytest.fixture(scope="session")
def spot(part: dict[str, Path]) -> backtest.BacktestResult:
    return backtest.run([part[SPOT]], configuration())


def test_every_frame_is_an_event_or_skipped_or_refused(spot):
    assert spot.frames == PART
    assert spot.events + sum(spot.skipped.values()) + sum(spot.refused.values()) == PART


def test_the_part_does_give_signals_of_trades_and_books(spot):
    # Guards the claims below against being true of silence.
    assert spot.signals.keys() >= {"orderbook_skew", "trade_momentum"}
    assert spot.errors == {}


def test_lines_in_several_calls_give_what_they_give_in_one(part, spot):
    whole = Backtest(configuration())
    lines = list(read(part[SPOT]))
    for start in range(0, PART, 700):
        whole.work(lines[start : start + 700])
    result = whole.result(took_s=0)
    assert (result.digest, result.frames) == (spot.digest, spot.frames)


@pytest.mark.parametrize("batch_events", [1, 7, 100, 10**9])
def test_the_batch_size_never_changes_the_digest(part, spot, batch_events):
    again = Backtest(configuration(), batch_events).run(read(part[SPOT]))
    assert (again.digest, again.signals) == (spot.digest, spot.signals)


@pytest.mark.parametrize("partitions", [1, 3, 1024])
def test_the_number_of_partitions_never_changes_the_digest(part, spot, partitions):
    assert backtest.run([part[SPOT]], configuration(partitions)).digest == spot.digest


def test_other_parameters_do_change_the_digest(part, spot):
    assert backtest.run([part[SPOT]], configuration(skew={"buy_ratio": 5.0})).digest != spot.digest


def test_two_recordings_interleaved_or_in_turn_give_the_same_digest(part):
    interleaved = backtest.run([part[SPOT], part[USDM]], configuration())
    in_turn = (line for name in (USDM, SPOT) for line in read(part[name]))
    assert Backtest(configuration()).run(in_turn).digest == interleaved.digest
    assert interleaved.frames == 2 * PART


def test_a_recording_played_twice_gives_repeats_and_the_same_digest(part, spot):
    twice = (line for _ in range(2) for line in read(part[SPOT]))
    result = Backtest(configuration()).run(twice)
    assert (result.digest, result.repeats) == (spot.digest, spot.repeats + spot.events)


def test_a_lost_frame_changes_the_digest(part, spot):
    lines = list(read(part[SPOT]))
    assert Backtest(configuration()).run(lines[: PART // 2] + lines[PART // 2 + 1 :]).digest != spot.digest


def test_two_processes_with_other_hash_seeds_give_the_same_digest(part):
    def run(seed: str) -> str:
        environment = os.environ | {"PYTHONHASHSEED": seed}
        command = [sys.executable, "-m", "tasks", "backtest", str(part[SPOT]), "--digest"]
        done = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout.strip()

    first, second = run("1"), run("2")
    assert len(first) == 64
    assert first == second


@pytest.mark.parametrize("lines", [0, 10, 1_000, 2_500])
def test_progress_is_told_of_every_line(part, lines):
    told: list[int] = []
    Backtest(configuration()).run(islice(read(part[SPOT]), lines), told.append)
    assert sum(told) == lines


@pytest.mark.parametrize("name", [SPOT, USDM])
def test_the_codec_of_batches_gives_back_the_same_event(part, name):
    """That is why the backtest need not use the codec."""
    for seq, line in enumerate(read(part[name])):
        event = parse(line.raw, FrameMetadata(line.stream, seq, line.received_at_ns))
        assert not isinstance(event, SkippedFrame | RefusedFrame)
        # Types too: 1 == 1.0, and a list is no tuple.
        assert repr(unpack_event(pack_event(event))) == repr(event)


def test_a_recording_that_is_not_there_is_one_clear_line(tmp_path):
    with pytest.raises(RecordingError, match=r"nowhere\.jsonl"):
        backtest.run([tmp_path / "nowhere.jsonl"], configuration())
