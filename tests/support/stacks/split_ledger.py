"""A pipeline of several ingest processes, each with a Redis of its own for its ledger."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from compose.local.processes import Instance, Process
from compose.local.servers import free_port, start_redis
from compose.local.stack import Plan, Stack
from tests.support.stacks.pipeline import ready, running
from tests.support.waiting import wait_for

PARTITIONS = 64


class SplitStack(Stack):
    """A stack whose ledger is split; `ingest` is its first shard."""

    def __init__(self, instance: Instance, plan: Plan, total: int = 2) -> None:
        self._total = total
        super().__init__(instance, plan)
        #: The shards behind the first one, and their ports.
        self.others = {self._start_shard(number): number for number in range(1, total)}

    def _environment(self, plan: Plan) -> dict[str, str]:
        #: The Redis servers of the ledgers. The broker's is the first.
        options = plan.redis_options
        started = [start_redis(self.instance, f"redis-{number}", options=options) for number in range(1, self._total)]
        self.ledgers = [self.redis, *(process for process, _ in started)]
        return super()._environment(plan) | {
            "LEDGER_URLS": " ".join([self.redis_url, *(url for _, url in started)]),
            "NATS_PARTITIONS": str(PARTITIONS),
            "INGEST_SHARD": f"0/{self._total}",
        }

    def _start_shard(self, number: int) -> Process:
        own = {"INGEST_SHARD": f"{number}/{self._total}", "HTTP_PORT": str(free_port())}
        command = [sys.executable, "-m", "ingest"]
        return self.instance.start(f"shard-{number}", command, self.environment | own, restart=True)

    def shard_port(self, process: Process) -> int:
        """Return where a shard answers."""
        return int(process.environment["HTTP_PORT"])

    def wait_until_ready(self) -> None:
        super().wait_until_ready()
        for process in (*self.others, *self.ledgers):
            process.keep_running()
        for process in self.others:
            self.wait_for_lead(process)

    def wait_for_lead(self, process: Process) -> None:
        """Wait until a shard leads."""

        def leads() -> bool:
            self.instance.watch()
            return bool(ready(self, self.shard_port(process)).get("started"))

        wait_for(leads, f"{process.name}'s lead{process.tail()}")

    def end_others(self) -> None:
        """End all shards but the first, which have worked off what they hold."""
        for process in self.others:
            self.wait_for_lead(process)
        self.instance.stop(*self.others, grace_s=90)


@contextmanager
def split(workers: int = 2, pool: str = "solo", **environment: str) -> Iterator[SplitStack]:
    """Start a pipeline with two ledgers."""
    options = ("--appendonly", "yes", "--appendfsync", "always")
    with running(Plan(workers, pool, environment=environment, redis_options=options), SplitStack) as stack:
        assert isinstance(stack, SplitStack)
        yield stack
