"""The note of a process, as whoever watches it reads it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tasks.protocol.strikes import MAX_STRIKES, RunningBatch
from tasks.worker import run_note
from tasks.worker.run_note import SOLO, RunNote, RunPosition, of_child
from tasks.worker.run_watch import GRACE_S, POLL_S, RunWatch, left_behind, state_of
from tests.support.ledger import batch
from tests.support.strategies import Echo, Grumpy, bound
from tests.support.waiting import wait_for

STRATEGIES = bound(Echo.create({}), Grumpy.create({}))
RUNNING = RunningBatch.of(batch(4), ["echo", "grumpy"])


@pytest.fixture
def sleeper() -> Iterator[int]:
    """Yield the id of a process that sleeps."""
    sleeps = "import time; print(flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", sleeps], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        wait_for(lambda: state_of(process.pid).letter in {"S", ""}, "it to sleep")
        yield process.pid
        process.kill()


def ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def note_of(file: Path, seq: int, number: int) -> RunNote:
    """Leave a note that says that a run is at an event, and at the strategy of that number."""
    note = RunNote(file)
    note.begin()
    place = note.note_batch(batch(4), STRATEGIES)
    assert place is not None
    place[0], place[1] = seq, number
    return note


def test_a_note_says_what_the_process_is_at(tmp_path: Path):
    file = tmp_path / "note"
    note = note_of(file, 6, 2)
    assert run_note.read(file) == RunPosition(1, RUNNING, 6, "grumpy")
    note.end()
    assert run_note.read(file) == RunPosition(0, RUNNING, 6, "")
    note.begin()
    note.note_batch(batch(7), STRATEGIES[:1])
    assert run_note.read(file)[:2] == (2, RunningBatch.of(batch(7), ["echo"]))


def test_a_batch_of_too_many_words_leaves_no_note(tmp_path: Path):
    file = tmp_path / "note"
    note = note_of(file, 6, 2)
    assert note.note_batch(msgspec.structs.replace(batch(4), configuration="c" * 20_000), STRATEGIES) is None
    assert run_note.read(file) == RunPosition(1, None, 6, "")


def test_a_child_that_is_over_its_time_is_killed_once(tmp_path: Path, sleeper: int):
    now_s = 100.0
    watch = RunWatch(tmp_path, 1.0, lambda: now_s)
    note_of(of_child(tmp_path, sleeper), 6, 2)
    while now_s <= 100.0 + 1.0 + GRACE_S:
        watch.poll_children()
        assert not ended(sleeper)
        now_s += POLL_S
    watch.poll_children()
    os.waitid(os.P_PID, sleeper, os.WEXITED | os.WNOWAIT)
    strike = watch.ended(sleeper, -signal.SIGKILL)
    assert strike
    assert (strike.weight, strike.strategy, strike.seq) == (MAX_STRIKES, "grumpy", 6)
    assert list(tmp_path.iterdir()) == []


def test_an_idle_child_is_left_alone_for_ever(tmp_path: Path, sleeper: int):
    now_s = 100.0
    watch = RunWatch(tmp_path, 1.0, lambda: now_s)
    note_of(of_child(tmp_path, sleeper), 6, 2).end()
    for _ in range(3):
        watch.poll_children()
        now_s += 1_000.0
    assert not ended(sleeper)
    assert watch.ended(sleeper, 0) is None


def test_what_a_solo_worker_left_behind_is_read_once(tmp_path: Path):
    note_of(tmp_path / SOLO, 6, 2)
    [strike] = left_behind([tmp_path], 20.0)
    assert (strike.batch, strike.strategy, strike.seq, strike.weight) == (RUNNING, "grumpy", 6, 1)
    assert list(left_behind([tmp_path], 20.0)) == []


def test_a_solo_worker_that_was_seen_to_hang_did_so(tmp_path: Path):
    note_of(tmp_path / SOLO, 6, 2)
    run_note.write_seen(tmp_path / SOLO, 15.5)
    [strike] = left_behind([tmp_path], 20.0)
    assert (strike.weight, strike.why) == (MAX_STRIKES, "hung for 16 s")


def test_what_is_no_note_is_nobodys_strike(tmp_path: Path):
    (tmp_path / SOLO).write_bytes(b"nonsense")
    assert list(left_behind([tmp_path, tmp_path / "nowhere"], 20.0)) == []
