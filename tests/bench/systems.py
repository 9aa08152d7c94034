"""The contenders as running systems: servers and processes of one instance, fed, followed and judged alike."""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec
import nats
import redis

from compose.local.processes import ROOT, Instance, LocalStackError, Process
from compose.local.servers import start_nats, start_redis
from compose.local.stack import Plan, Stack
from compose.local.waiting import wait_for
from tasks.ledger import summary
from tasks.ledger.reader import LedgerReader
from tasks.protocol import records
from tasks.protocol.ingest_status import STATUS_SUBJECT
from tests.bench import application
from tests.bench.application import ContenderTotals
from tests.bench.contenders import listening, store
from tests.bench.counters import Counters
from tests.bench.stacks import as_it_is

#: Makes the stack of a plan.
MakeStack = Callable[[Instance, Plan], Stack]

START_S = 60.0
_STOP_S = 120.0
_PYTHON = (sys.executable, "-m")


class System(Protocol):
    """A contender that runs."""

    instance: Instance
    nats_url: str
    redis_url: str
    #: The Redis command with which `done` asks; None: it asks elsewhere.
    asks: str | None

    @property
    def environment(self) -> Mapping[str, str]:
        """That of its processes, the feed's included."""

    def done(self) -> int:
        """Return how many events were worked on so far, once for each pool that wants them."""

    def finish(self) -> ContenderTotals:
        """Let it come to an end, and say what it has done."""


class Pipeline:
    """This project, as users run it."""

    asks: str | None = "hmget"

    def __init__(self, instance: Instance, plan: Plan | None = None, make: MakeStack = Stack) -> None:
        plan = plan or Plan()
        environment = {"SIGNAL_MAX_AGE_S": "0", "INGEST_DRAIN_S": str(_STOP_S), "LOG_LEVEL": "WARNING"}
        self.instance = instance
        self.stack = make(instance, plan._replace(environment=environment | dict(plan.environment)))
        self.stack.wait_until_ready()
        # Before, each lane sends tasks of its own.
        self.stack.wait_until_workers_are_known()
        self.nats_url, self.redis_url = self.stack.nats_url, self.stack.redis_url
        self.reader = LedgerReader(self.stack.settings)

    @property
    def environment(self) -> Mapping[str, str]:
        """That of ingest and the workers."""
        return self.stack.environment

    def done(self) -> int:
        """Ask the ledger, whose counters move with each commit."""
        counted: Any = self.reader.client.hmget(self.reader.keys.counters, "applied", "repeats")
        return sum(int(count or 0) for count in counted)

    def finish(self) -> ContenderTotals:
        """Stop ingest, which works off what is left."""
        self.stack.ingest.terminate()
        follow(self, lambda: self.stack.ingest.returncode is not None, _STOP_S + 30, "ingest to end")
        told = summary.read(self.stack.settings)
        return ContenderTotals(self.reader.counters().of("applied"), sum(told.signals.values()), told.digest)


class Recipe(NamedTuple):
    """How another contender is started: its processes by name, each `python -m ...`."""

    commands: Mapping[str, Sequence[str]]
    #: Whether its states are in Redis, or else in its one process.
    in_redis: bool = True


class Rival:
    """Another contender."""

    def __init__(self, instance: Instance, recipe: Recipe, front: Callable[[str], str] = as_it_is) -> None:
        """`front` gives the URL of Redis that its processes are told."""
        self.instance, self._recipe = instance, recipe
        _, self.nats_url = start_nats(instance, jetstream=False)
        _, self.redis_url = start_redis(instance)
        self.asks = "get" if recipe.in_redis else None
        self._client = redis.Redis.from_url(self.redis_url)
        self._verdict = instance.directory / "verdict.json"
        self._counters = Counters(instance.directory / "counted", [listening.DONE])
        self.environment: Mapping[str, str] = os.environ | {
            "PYTHONPATH": str(ROOT),
            "NATS_URL": self.nats_url,
            "REDIS_URL": front(self.redis_url),
            listening.COUNTED: str(instance.directory / "counted"),
            listening.VERDICT: str(self._verdict),
        }
        self._processes = [
            instance.start(name, [*_PYTHON, *command], self.environment) for name, command in recipe.commands.items()
        ]
        follow(self, lambda: answers(self.nats_url), START_S, "a contender to listen")

    def done(self) -> int:
        """Ask where it counts."""
        if not self._recipe.in_redis:
            return self._counters[listening.DONE]
        counted: Any = self._client.get(store.DONE)
        return int(counted or 0)

    def finish(self) -> ContenderTotals:
        """Read what it stored, or ask for its own word."""
        if self._recipe.in_redis:
            return self._stored()
        for process in self._processes:
            process.terminate()
        follow(self, self._verdict.exists, _STOP_S, "a contender's verdict")
        return msgspec.json.decode(self._verdict.read_bytes(), type=ContenderTotals)

    def _stored(self) -> ContenderTotals:
        client: Any = self._client
        stands = []
        for key in client.scan_iter(match=f"{store.STATES}*"):
            for field, packed in client.hgetall(key).items():
                pool, _, name = field.decode().partition("/")
                if name.startswith("record:"):
                    stands.append((pool, name, records.unpack(packed)))
        return application.verdict(client.lrange(store.SIGNALS, 0, -1), stands)


def answers(nats_url: str) -> bool:
    """Whether somebody says how full it is."""

    async def ask() -> bool:
        client = await nats.connect(nats_url, allow_reconnect=False)
        try:
            await client.request(STATUS_SUBJECT, b"", timeout=1)
        except nats.errors.Error:
            return False
        finally:
            await client.close()
        return True

    return asyncio.run(ask())


def _contender(module: str) -> str:
    return f"tests.bench.contenders.{module}"


_CELERY = _contender("plain_celery")
RIVALS = {
    "bare_loop": Recipe({"loop": [_contender("bare")]}, in_redis=False),
    "celery": Recipe(
        {
            "producer": [_CELERY],
            "worker": ["celery", "-A", _CELERY, "worker", "--concurrency", "2", "--loglevel", "WARNING"],
        }
    ),
    "faststream": Recipe({"loop": [_contender("streaming"), "redis"]}),
    "faststream_in_memory": Recipe({"loop": [_contender("streaming"), "memory"]}, in_redis=False),
    "dramatiq": Recipe(
        {
            "producer": [_contender("plain_dramatiq")],
            "worker": ["dramatiq", _contender("plain_dramatiq"), "--processes", "2", "--threads", "1"],
        }
    ),
    "taskiq": Recipe(
        {
            "producer": [_contender("plain_taskiq")],
            "worker": ["taskiq", "worker", _contender("plain_taskiq") + ":broker", "--workers", "2"],
        }
    ),
}


def start(name: str, instance: Instance) -> System:
    """Start a contender by its name; `pipeline` is this project."""
    return Pipeline(instance) if name == "pipeline" else Rival(instance, RIVALS[name])


def follow(system: System, reached: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Wait until something is so while all processes run. Raises LocalStackError."""

    def looked() -> bool:
        system.instance.watch()
        return reached()

    try:
        wait_for(looked, timeout_s, what)
    except TimeoutError as error:
        raise LocalStackError(str(error)) from None


def feed(system: System, file: Path, speed: str) -> Process:
    """Start the publisher."""
    process = system.instance.start(
        f"feed-{file.stem}", [*_PYTHON, "tests.bench.feed", str(file), speed], system.environment
    )
    process.wanted = False
    return process
