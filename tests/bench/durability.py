"""What it costs that commits outlive Redis: python -m tests.bench.durability [--rounds N].

Every round runs each variant once, one after the other, each on servers of its own: single writes, then the pipeline at
full speed, then at 2,000 events/s.
"""

import argparse
import asyncio
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import methodcaller
from typing import NamedTuple
from urllib.parse import urlsplit

from redis import Redis as SyncRedis
from redis.asyncio import Redis

from compose.local.processes import Instance
from compose.local.servers import HOST, start_redis
from compose.local.waiting import wait_for
from tasks.ledger.confirmation import Confirmation
from tasks.settings.redis_settings import Durability
from tests.bench import latencies, pipelines, runs
from tests.bench.mix import Mix
from tests.bench.pipelines import Setup
from tests.bench.stacks import Variant

EVENTS, RATE, SECONDS = 40_000, 2_000.0, 5.0
WRITES = 50


class Durable(NamedTuple):
    """How Redis is set up, and what ingest waits for."""

    appendfsync: str
    durability: Durability = "memory"
    has_replica: bool = False

    @property
    def name(self) -> str:
        """What it is, for a table."""
        return f"{self.appendfsync}{', a replica' * self.has_replica}, LEDGER_DURABILITY={self.durability}"

    @property
    def options(self) -> Sequence[str]:
        """Command-line options of its servers."""
        return "--appendonly", "yes", "--appendfsync", self.appendfsync, "--repl-diskless-sync-delay", "0"


VARIANTS = (
    Durable("everysec"),
    Durable("always"),
    Durable("everysec", "disk"),
    Durable("always", "disk"),
    Durable("everysec", has_replica=True),
    Durable("everysec", "replica", has_replica=True),
)


class Price(NamedTuple):
    """What one run took."""

    events_per_s: float
    #: Of ingest, workers and Redis together.
    cpu_us: float
    #: Of one write and its confirmation, with nothing else to do.
    write_ms: float
    p50_ms: float
    p99_ms: float


def _replicate(variant: Durable, instance: Instance, redis_url: str) -> None:
    master = "--replicaof", HOST, str(urlsplit(redis_url).port)
    start_redis(instance, "replica", options=(*variant.options, *master))
    with SyncRedis.from_url(redis_url) as client:
        wait_for(lambda: client.info("replication").get("slave0", {}).get("state") == "online", 30, "the replica")


@contextmanager
def _setup(variant: Durable) -> Iterator[Setup]:
    with Instance("replica") as instance:

        def replicated(redis_url: str) -> str:
            if variant.has_replica:
                _replicate(variant, instance, redis_url)
            return redis_url

        environment = {"LEDGER_DURABILITY": variant.durability}
        yield Setup(Mix(), environment=environment, variant=Variant(replicated), redis_options=variant.options)


def write_ms(variant: Durable) -> float:
    """Return the median of single writes, each with the wait that ingest has behind it."""

    async def write() -> list[float]:
        took_s = []
        async with Redis.from_url(url) as client:
            confirmation = Confirmation(client, variant.durability, "shard")
            for _ in range(WRITES):
                started_s = time.perf_counter()
                await confirmation.answer(methodcaller("set", "a", "b"))
                took_s.append(time.perf_counter() - started_s)
        return took_s

    with Instance("writes") as instance:
        _, url = start_redis(instance, options=variant.options)
        if variant.has_replica:
            _replicate(variant, instance, url)
        return statistics.median(asyncio.run(write())) * 1e3


def measure(variant: Durable) -> Price:
    """Run a variant once."""
    alone_ms = write_ms(variant)
    with _setup(variant) as setup, pipelines.running(setup) as (pipeline, loads):
        run = runs.run(pipeline, loads.next(EVENTS))
        cpu_us = sum(run.cpu_us[role] for role in ("ingest", "worker", "redis"))
        paced = latencies.at(RATE, SECONDS, SECONDS, pipeline, loads)
        return Price(run.events_per_s, cpu_us, alone_ms, paced.p50_ms or math.inf, paced.p99_ms or math.inf)


def main() -> None:
    """Measure, and print medians with lowest and highest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    found: dict[Durable, list[Price]] = {variant: [] for variant in VARIANTS}
    for _ in range(rounds):
        for variant, prices in found.items():
            prices.append(measure(variant))
            print(variant.name, prices[-1], flush=True)
    for variant, prices in found.items():
        columns = [
            f"{statistics.median(each):,.1f} ({min(each):,.1f}-{max(each):,.1f})" for each in zip(*prices, strict=True)
        ]
        print("| " + " | ".join([variant.name, *columns]) + " |")


if __name__ == "__main__":
    main()
