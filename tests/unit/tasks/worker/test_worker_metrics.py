"""What a worker counts, and where: in a process of its own, because the first choice of prometheus_client is for good."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import pytest

from compose.local.processes import ROOT
from tasks.worker import worker_metrics
from tasks.worker.runner import BatchResult

DONE = BatchResult(
    "trade",
    5,
    3,
    1,
    {("echo", "buy"): 2},
    {"cool_down": 1},
    {"partial": 2},
    {"echo": 1},
    {"echo": 2_000_000_000, "quiet": 0},
)
LARGER = msgspec.structs.replace(DONE, pool="depth", events=15)

SCRIPT = """
import os, sys
from contextlib import suppress
import prometheus_client  # as Flower's command does, before anything of ours
from prometheus_client import CollectorRegistry
from tasks.worker import worker_metrics
from tests.unit.tasks.worker.test_worker_metrics import DONE, LARGER

directory = worker_metrics.start(["trade", "depth"])
for _ in range(2):
    if not (child := os.fork()):
        from billiard.process import current_process
        current_process().index = 0
        worker_metrics.committed([DONE], 0.03)
        os._exit(0)
    os.waitpid(child, 0)
worker_metrics.committed([DONE], 0.3)
worker_metrics.committed([LARGER, DONE], 0.4)
worker_metrics.count("worker_fenced", worker_metrics.pool_label("nobody's"))
with suppress(ValueError), worker_metrics.counted(ValueError, "worker_failed", "trade", "depth"):
    raise ValueError
(directory / "counter_pool1.db").touch()  # opened this moment
registry = CollectorRegistry()
registry.register(worker_metrics.Collector(directory))
print(prometheus_client.generate_latest(registry).decode())
worker_metrics.count = lambda *name, by: print("written", name)
worker_metrics.committed([DONE, LARGER, DONE, DONE], 0.4)
print(sorted(file.name for file in directory.iterdir()))
worker_metrics.stop(directory)
print(directory.exists())
"""


@pytest.fixture(scope="module")
def said() -> list[str]:
    ended = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True)
    return ended.stdout.splitlines()


def test_counts_of_children_their_replacements_and_parent_are_added_up(said):
    for line in (
        'worker_batches_total{pool="trade"} 4.0',
        'worker_events_total{pool="trade"} 12.0',
        'worker_repeats_total{pool="trade"} 4.0',
        'worker_fenced_total{pool="trade"} 0.0',
        'worker_fenced_total{pool="other"} 1.0',
        'worker_failed_total{pool="trade"} 1.0',
        'worker_failed_total{pool="depth"} 1.0',
        'worker_strategy_seconds_total{strategy="echo"} 10.0',
        'worker_strategy_errors_total{strategy="echo"} 5.0',
        'worker_strategy_errors_total{strategy="quiet"} 0.0',
        'worker_signals_total{action="buy",strategy="echo"} 10.0',
        'worker_signals_held_total{reason="cool_down"} 5.0',
        'worker_orders_unfilled_total{reason="partial"} 10.0',
        'worker_batch_seconds_bucket{le="0.05",pool="trade"} 2.0',
        'worker_batch_seconds_bucket{le="+Inf",pool="trade"} 4.0',
    ):
        assert line in said
    assert said[-2:] == [
        "['counter_main.db', 'counter_pool0.db', 'counter_pool1.db', 'histogram_main.db', 'histogram_pool0.db']",
        "False",
    ]


def test_batches_of_a_shared_task_count_for_their_pool_and_split_its_time(said):
    """The seconds are split by the number of events."""
    seconds = {line.split()[0]: float(line.split()[1]) for line in said if line.startswith("worker_batch_seconds_sum")}
    assert 'worker_batches_total{pool="depth"} 1.0' in said
    # The one task of two pools took 0.4 s, for 15 events and 5; three others of the pool `trade` 0.3 and twice 0.03.
    assert seconds == {
        'worker_batch_seconds_sum{pool="depth"}': pytest.approx(0.3),
        'worker_batch_seconds_sum{pool="trade"}': pytest.approx(0.3 + 2 * 0.03 + 0.1),
    }


def test_a_count_is_written_once_for_all_batches_of_a_task(said):
    written = [line for line in said if line.startswith("written")]
    assert len(written) == len(set(written)) > 10


def test_nothing_is_counted_or_made_before_the_start(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    worker_metrics.committed([DONE], 0.1)
    worker_metrics.count("worker_fenced", "trade")
    with pytest.raises(ValueError, match="mine"), worker_metrics.counted(ValueError, "worker_failed", "trade"):
        raise ValueError("mine")
    assert list(tmp_path.iterdir()) == []
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ


def test_what_a_killed_worker_left_is_removed_and_a_live_ones_files_stay(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        lives = worker_metrics._make_directory("mine")
        left = tmp_path / lives.name.replace(f"-{os.getpid()}-", f"-{process.pid}-")
        left.mkdir()
        other = tmp_path / "realtime-strategies-elsewhere-1-mine-abc"
        other.mkdir()
        worker_metrics._make_directory("mine")
        assert left.exists()
        assert left not in worker_metrics.left_behind("mine")
        process.kill()
    (left / "counter_main.db").write_bytes(b"")
    worker_metrics._make_directory("yours")
    assert left in worker_metrics.left_behind("mine")
    worker_metrics._make_directory("mine")
    assert not left.exists()
    assert other.exists()


def test_old_leftovers_of_another_pipelines_killed_workers_are_removed(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mine = worker_metrics._make_directory("mine")
    gone = 2**22 + 1  # no system has so many processes
    left = mine.rename(tmp_path / mine.name.replace(f"-{os.getpid()}-", f"-{gone}-"))
    hour_ago_s = time.time() - 3700
    os.utime(left, (hour_ago_s, hour_ago_s))
    worker_metrics._make_directory("yours")
    assert not left.exists()


def test_a_worker_starts_while_another_one_removes_the_same_leftovers(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / f"{worker_metrics._prefix()}1-mine-abc"
    left.mkdir()

    def dead_and_removed(*_: int) -> None:
        left.rmdir()
        raise ProcessLookupError

    monkeypatch.setattr(os, "kill", dead_and_removed)
    assert worker_metrics._make_directory("yours").is_dir()
