"""What is measured of the pipeline alone: cost, a delay to Redis, memory over time; and how it is started for that."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from compose.local.processes import Instance
from compose.local.servers import HOST
from compose.local.stack import Plan
from tasks.ledger.reader import LedgerReader
from tests.bench import metered, runs, systems, usage
from tests.bench.loads import WARM_UP, Loads
from tests.bench.mix import Mix
from tests.bench.results import Cost, Memory, Point
from tests.bench.runs import RunUsage
from tests.bench.stacks import Variant, VariedStack
from tests.bench.systems import Pipeline
from tests.support.servers.proxy import Proxy


class Setup(NamedTuple):
    """A pipeline to measure."""

    mix: Mix
    workers: int = 2
    environment: Mapping[str, str] = {}
    variant: Variant = Variant()
    redis_options: Sequence[str] = ()


@contextmanager
def running(setup: Setup, warm_up: int = WARM_UP) -> Iterator[tuple[Pipeline, Loads]]:
    """Start it, and warm it up with so many events at full speed."""
    plan = Plan(setup.workers, environment=setup.environment, redis_options=setup.redis_options)
    strategies = setup.environment.get("STRATEGIES_FILE")
    with Instance("bench") as instance:
        pipeline = Pipeline(instance, plan, lambda where, what: VariedStack(where, what, setup.variant))
        loads = Loads(setup.mix, instance.directory, Path(strategies) if strategies else None)
        if warm_up:
            runs.run(pipeline, loads.next(warm_up))
        yield pipeline, loads


# Cost


def cost(mix: Mix, events: int) -> Cost:
    """Count the CPU of each stage."""
    with running(Setup(mix, variant=Variant(metered=True))) as (pipeline, loads):
        assert isinstance(pipeline.stack, VariedStack)
        before = metered.read_ns(pipeline.stack.costs)
        run = runs.run(pipeline, loads.next(events))
        after = metered.read_ns(pipeline.stack.costs)
        held = state_bytes_a_symbol(pipeline.reader)
    counted_us = {stage: (after[stage] - before[stage]) / events / 1e3 for stage in metered.STAGES}
    asked = run.redis
    return Cost(
        stages_us={stage: round(us, 2) for stage, us in stages(run.cpu_us, counted_us).items()},
        redis_commands=round(asked.commands / events, 3),
        redis_bytes_in=round(asked.bytes_in / events, 1),
        redis_bytes_out=round(asked.bytes_out / events, 1),
        state_bytes_a_symbol=held,
        noise=run.noise,
    )


def stages(roles_us: Mapping[str, float], counted_us: Mapping[str, float]) -> dict[str, float]:
    """Share the CPU of each role out to its stages; what no stage counted is the rest of its process."""
    ingest = {
        "receive": roles_us["ingest"] - counted_us["deliver"] - counted_us["enqueue"],
        "validate": counted_us["validate"],
        "lanes and page": counted_us["deliver"] - counted_us["validate"],
        "enqueue": counted_us["enqueue"],
    }
    worker = {stage: counted_us[stage] for stage in ("decode", "strategies", "commit")}
    rest = {"celery": roles_us["worker"] - sum(worker.values())}
    return ingest | rest | worker | {role: roles_us[role] for role in ("feed", "nats", "redis")}


def state_bytes_a_symbol(reader: LedgerReader) -> float:
    """Return the mean over (venue, symbol) of what states and records take, names included."""
    client: Any = reader.client
    sizes: dict[str, int] = {}
    for key in client.scan_iter(match=f"{reader.keys.pool('*')}"):
        for field, value in client.hscan_iter(key):
            kind, _, rest = field.decode().partition(":")
            if kind in {"record", "state"}:
                symbol = rest.rpartition(":")[0]
                sizes[symbol] = sizes.get(symbol, 0) + len(field) + len(value)
    return round(sum(sizes.values()) / len(sizes), 1)


# One thing varied


def once(setup: Setup, events: int) -> tuple[RunUsage, float]:
    """Return a run at full speed, and the state bytes of a symbol."""
    with running(setup) as (pipeline, loads):
        run = runs.run(pipeline, loads.next(events))
        return run, state_bytes_a_symbol(pipeline.reader)


def delayed(mix: Mix, events: int, contender_events: int, delay_ms: float) -> Iterator[Point]:
    """Run the pipeline and plain Celery with a proxy before Redis, first as it is, then with a delay each way."""
    for name, count in (("pipeline", events), ("celery", contender_events)):
        for each_ms in (0.0, delay_ms):
            yield Point("delay ms", each_ms, _behind_proxy(name, mix, count, each_ms), contender=name)


def _behind_proxy(name: str, mix: Mix, events: int, delay_ms: float) -> RunUsage:
    proxies: list[Proxy] = []

    def front(redis_url: str) -> str:
        proxies.append(Proxy(urlsplit(redis_url).port or 0).__enter__())
        proxies[0].latency_s = delay_ms / 1e3
        return f"redis://{HOST}:{proxies[0].port}/0"

    try:
        if name == "pipeline":
            return once(Setup(mix, variant=Variant(front)), events)[0]
        with Instance("bench") as instance:
            loads = Loads(mix, instance.directory)
            system = systems.Rival(instance, systems.RIVALS[name], front)
            runs.run(system, loads.next(WARM_UP))
            return runs.run(system, loads.next(events))
    finally:
        for proxy in proxies:
            proxy.__exit__()


# Memory


def _wait_until(pipeline: Pipeline, due_s: float) -> None:
    systems.follow(pipeline, lambda: time.monotonic() >= due_s, due_s - time.monotonic() + 30, "the next look")


def memory(seconds: float, every_s: float = 5.0) -> Memory:
    """Watch the resident memory of each process while the simulator feeds."""
    found = Memory([], {})
    with Instance("bench") as instance:
        pipeline = Pipeline(instance)
        pipeline.stack.start_feed(["simulate"])
        began_s = time.monotonic()
        while (since_s := time.monotonic() - began_s) < seconds:
            found.seconds.append(round(since_s, 1))
            for name, mib in usage.resident_mib(instance.processes).items():
                found.resident_mib.setdefault(name, []).append(round(mib, 1))
            _wait_until(pipeline, began_s + len(found.seconds) * every_s)
    return found
