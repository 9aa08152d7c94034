"""A pipeline whose ledger moves between one Redis and one for each of two shards."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from compose.local.processes import Process
from compose.local.servers import free_port, start_redis
from compose.local.stack import Plan, Stack
from tasks.ledger import LedgerKeys
from tests.support import starting
from tests.support.moves.ledgers import clients
from tests.support.stacks.pipeline import ready, running
from tests.support.waiting import wait_for


class MovingLedger:
    """The shards of a stack, and where their ledger is."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self.keys = stack, LedgerKeys(stack.settings.namespace)
        _, second_url = start_redis(stack.instance, "redis-1")
        #: Of one ledger, and of two.
        self.one, self.two = stack.redis_url, f"{stack.redis_url} {second_url}"
        self.ledgers = self.one
        self._ports: dict[Process, int] = {stack.ingest: stack.http_port}
        self._shards = [stack.ingest]
        #: While another shard has taken its lease and not begun yet, a process that wants another layout ends.
        stack.ingest.restart = True

    def frames(self) -> int:
        """Return how many frames are counted in all ledgers."""
        with clients(self.ledgers) as servers:
            return sum(int(server.hget(self.keys.counters, "frames") or 0) for server in servers)

    def move(self, ledgers: str, *, kill: bool) -> None:
        """End all shards, move the ledger, and start as many shards as it has Redis servers."""
        self.end(kill=kill)
        told = self._call(ledgers)
        while "signals that NATS does not have yet" in told:
            self._start(self.ledgers)
            self.end(kill=False)
            told = self._call(ledgers)
        assert "start all shards" in told, told
        self._stack.instance.stop(*self._stack.workers)
        for process in self._stack.workers:
            process.environment |= _environment(ledgers)
            self._stack.instance.start_again(process)
        self._start(ledgers)

    def _call(self, ledgers: str) -> str:
        environment = self._stack.environment | _environment(ledgers) | {"LEDGER_FROM": self.ledgers}
        done = starting.start(["ingest", "move-ledger", "--yes"], environment)
        return done.stdout + done.stderr

    def _start(self, ledgers: str) -> None:
        self.ledgers, total = ledgers, len(ledgers.split())
        while len(self._ports) < total:
            number, port = len(self._ports), free_port()
            own = self._stack.environment | _environment(ledgers, number) | {"HTTP_PORT": str(port)}
            command = [sys.executable, "-m", "ingest"]
            self._ports[self._stack.instance.start(f"shard-{number}", command, own, restart=True)] = port
        self._shards = [*self._ports][:total]
        for number, process in enumerate(self._shards):
            process.environment |= _environment(ledgers, number)
            if process.returncode is not None:
                self._stack.instance.start_again(process)
        wait_for(lambda: all(map(self._leads, self._shards)), f"{total} shards{self._shards[-1].tail()}")

    def end(self, *, kill: bool) -> None:
        """End all shards, the first one last, which relays the signals of all; wait until their leases have run out."""
        for process in reversed(self._shards):
            if kill:
                self._stack.instance.kill(process)
            else:
                self._stack.instance.stop(process, grace_s=90)
        with clients(self.ledgers) as servers:
            leases = [self.keys.lease(number) for number in range(len(self._shards))]
            wait_for(lambda: not any(server.exists(*leases) for server in servers), "the leases to run out")

    def _leads(self, process: Process) -> bool:
        self._stack.instance.watch()
        return bool(ready(self._stack, self._ports[process]).get("started"))


def _environment(ledgers: str, number: int = 0) -> dict[str, str]:
    urls: Sequence[str] = ledgers.split()
    return {"LEDGER_URLS": ledgers if len(urls) > 1 else "", "INGEST_SHARD": f"{number}/{len(urls)}"}


@contextmanager
def moving(source: str) -> Iterator[tuple[Stack, MovingLedger]]:
    """Start a pipeline with one ledger, which can become two."""
    with running(Plan(2, "solo", environment={"INGEST_SOURCE": source, "NATS_PARTITIONS": "64"})) as stack:
        yield stack, MovingLedger(stack)
