"""Changes while it runs: partitions, shards, releases."""

from collections.abc import Iterator

from compose.local.processes import Process
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
    file = run.stack.settings.strategies_file
    for count in (3, 1, 8):
        yield 2.0
        _end(run, *run.stack.ports)
        changed = run.stack.instance.directory / f"strategies-{count}.toml"
        changed.write_text(file.read_text().replace("partitions = 8", f"partitions = {count}"), encoding="utf-8")
        for ingest in run.stack.ports:
            ingest.environment["STRATEGIES_FILE"] = str(changed)
            run.stack.instance.start_again(ingest)
        run.hit()


def shards(run: FaultRun) -> Iterator[float]:
    first, *others = run.stack.ports
    first.restart = True  # Each is refused for as long as another lease of the old layout is held.
    yield 2.0
    _end(run, first, *others)
    first.environment["INGEST_SHARD"] = "0/2"
    run.stack.instance.start_again(first)
    for second in others:
        second.environment["INGEST_SHARD"] = "1/2"
        run.stack.instance.start_again(second)
    second = others[0] if others else run.stack.start_ingest("ingest-2", INGEST_SHARD="1/2")
    wait_for(lambda: run.stack.instance.watch() is not None and run.leads(first) and run.leads(second), "two shards")
    run.hit()
    yield 4.0
    if not others:
        del run.stack.ports[second]
    _end(run, second, first)
    for ingest in run.stack.ports:
        ingest.environment["INGEST_SHARD"] = "0/1"
        run.stack.instance.start_again(ingest)
    run.hit()


def release(run: FaultRun) -> Iterator[float]:
    """Two releases side by side: what the newer one wrote, the older one leaves alone."""
    for worker in reversed(run.stack.workers):
        yield 2.0
        worker.environment["TEST_RELEASE"] = str(int(worker.environment.get("TEST_RELEASE", "1")) + 1)
        run.restart(worker)
        run.hit()


CASES = (
    Case("partitions changed", partitions, core_loses=True),
    Case("one shard, two, one again", shards, core_loses=True),
    Case("workers of two releases", release),
)
