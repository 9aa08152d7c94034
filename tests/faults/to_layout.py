"""Changes while it runs: partitions, shards, releases."""

from collections.abc import Iterator

from compose.local.processes import Process
from tests.faults.rig import STRATEGIES
from tests.faults.run import Case, FaultRun
from tests.support.waiting import wait_for


def _end(run: FaultRun, *processes: Process) -> None:
    """In order, or, where a stream keeps what comes in, at once."""
    if run.mode == "core":
        run.stack.instance.stop(*processes, grace_s=20)
    else:
        for process in processes:
            run.stack.instance.kill(process)


def partitions(run: FaultRun) -> Iterator[float]:
    ingest = run.stack.ingest
    for count in (3, 1):
        yield 2.0
        _end(run, ingest)
        file = run.stack.instance.directory / f"strategies-{count}.toml"
        file.write_text(STRATEGIES.read_text().replace("partitions = 8", f"partitions = {count}"), encoding="utf-8")
        ingest.environment["STRATEGIES_FILE"] = str(file)
        run.stack.instance.start_again(ingest)
        run.hit()


def shards(run: FaultRun) -> Iterator[float]:
    first = run.stack.ingest
    first.restart = True  # Each is refused for as long as another lease of the old layout is held.
    yield 2.0
    _end(run, first)
    first.environment["INGEST_SHARD"] = "0/2"
    run.stack.instance.start_again(first)
    second = run.stack.start_ingest("ingest-2", INGEST_SHARD="1/2")
    wait_for(lambda: run.stack.instance.watch() is not None and run.leads(first) and run.leads(second), "two shards")
    run.hit()
    yield 4.0
    del run.stack.ports[second]
    _end(run, second, first)
    first.environment["INGEST_SHARD"] = "0/1"
    run.stack.instance.start_again(first)
    run.hit()


def release(run: FaultRun) -> Iterator[float]:
    """Two releases side by side: what the newer one wrote, the older one leaves alone."""
    for worker in reversed(run.stack.workers):
        yield 2.0
        worker.environment["TEST_RELEASE"] = "2"
        run.restart(worker)
        run.hit()


CASES = (
    Case("partitions changed", partitions, core_loses=True),
    Case("one shard, two, one again", shards, core_loses=True),
    Case("workers of two releases", release),
)
