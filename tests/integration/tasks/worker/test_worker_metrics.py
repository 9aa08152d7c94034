"""What a worker exports is what the ledger counted, whichever process did the work and however it ended."""

import platform
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tasks.telemetry.metrics import WORKER
from tasks.version import VERSION
from tests.support.waiting import wait_for
from tests.support.workers.process import LANES, Channels, Worker, worker

ROUNDS = 10
BATCHES = ROUNDS * LANES


def exported(worker: Worker) -> dict[str, float]:
    """Return what /metrics says under the names of the ledger's counters, without what is 0."""
    samples = worker.samples()
    said = {
        "batches": samples["worker_batches_total", "trade"],
        "applied": samples["worker_events_total", "trade"],
        "repeats": samples["worker_repeats_total", "trade"],
        "fenced": samples["worker_fenced_total", "trade"],
    }
    for (name, *labels), value in samples.items():
        if name == "worker_signals_total":
            action, strategy = labels
            assert action in {"buy", "sell"}
            said[f"signals:{strategy}"] = said.get(f"signals:{strategy}", 0) + value
        elif name == "worker_signals_held_total":
            said[f"held:{labels[0]}"] = value
        elif name == "worker_strategy_errors_total":
            said[f"errors:{labels[0]}"] = value
    return {name: value for name, value in said.items() if value}


def counted(channels: Channels) -> dict[str, float]:
    """Return the ledger's counters that are metrics of workers, too, without what is 0."""
    counts = channels.counters().items()
    return {name: float(count) for name, count in counts if count and not name.startswith(("gaps", "strategy_"))}


@contextmanager
def scraped(worker: Worker) -> Iterator[list[float]]:
    """Scrape without a pause meanwhile; return the batches that each answer told of."""
    told: list[float] = []
    done = threading.Event()

    def scrape() -> None:
        while not done.is_set():
            # On a busy machine an answer may take longer than the test's patience.
            with suppress(TimeoutError):
                told.append(worker.samples()["worker_batches_total", "trade"])

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield told
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize(
    ("arguments", "lanes_a_task"),
    [
        pytest.param(("--pool", "solo"), 1, marks=pytest.mark.slow),
        (("--pool", "prefork", "--concurrency", "2"), 3),
    ],
)
def test_metrics_equal_the_ledgers_counters(client, keys, settings, arguments, lanes_a_task):
    with worker(settings, *arguments) as one:
        one.wait_ready()
        assert one.samples()["worker_batches_total", "trade"] == 0
        channels = Channels(client, settings, keys, lanes_a_task)
        channels.run(ROUNDS)
        wait_for(lambda: exported(one) == counted(channels), f"{exported(one)} to become {counted(channels)}")
        samples = one.samples()
    assert channels.counters().items() >= {"batches": BATCHES, "repeats": BATCHES, "fenced": ROUNDS}.items()
    assert {name.partition(":")[0] for name in counted(channels)} >= {"signals", "held", "errors"}
    # Ids 1 2, 4 5, ...; it doubts every 7th and raises on every 11th.
    ids = [id_ for id_ in range(1, 3 * ROUNDS) if id_ % 3 and id_ % 7 and id_ % 11]
    for action, rest in (("buy", 0), ("sell", 1)):
        assert samples["worker_signals_total", action, "sided"] == LANES * sum(id_ % 2 == rest for id_ in ids)
    assert samples["worker_batch_seconds_count", "trade"] == BATCHES
    assert 0 < samples["worker_strategy_seconds_total", "sided"] < samples["worker_batch_seconds_sum", "trade"]
    assert samples["realtime_strategies_build_info", platform.python_version(), "worker", VERSION] == 1
    # Every name of the table is there, and none besides.
    assert {name for name, *_ in samples} == {
        "realtime_strategies_build_info",
        *(name for metric in WORKER.values() for name in metric.samples),
    } - {"worker_orders_unfilled_total"}, "there is no paper account here"


@pytest.mark.parametrize(
    ("rounds", "per_child"), [(10, 4), pytest.param(100, 4, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_children_replaced_under_constant_scraping_lose_no_count(client, keys, settings, rounds, per_child):
    """No scrape hangs either."""
    recycling = ("--pool", "prefork", "--concurrency", "2", "--max-tasks-per-child", str(per_child))
    with worker(settings, *recycling) as one:
        one.wait_ready()
        channels = Channels(client, settings, keys)
        with scraped(one) as told:
            channels.run(rounds)
        wait_for(lambda: exported(one) == counted(channels), f"{exported(one)} to become {counted(channels)}")
        files = {file.name for file in Path(tempfile.gettempdir()).glob(f"realtime-*-{one.process.pid}-*/*.db")}
    assert told == sorted(told)
    assert len(told) > rounds
    # For each place in the pool, however many have been in it, and for the main process.
    assert files == {f"{type_}_{name}.db" for type_ in ("counter", "histogram") for name in ("main", "pool0", "pool1")}
