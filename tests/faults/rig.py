"""The pipeline as processes, with a proxy on any of its connections and a fault inside of any of its processes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from compose.local.processes import Instance, Process
from compose.local.servers import HOST, free_port
from compose.local.stack import Plan, Stack
from tests.faults.wrapped import Fault
from tests.support.servers.proxy import Proxy

STRATEGIES = Path(__file__).with_name("strategies.toml")
#: Shorter than the 12 s for which processes are stopped, like every other timer of the pipeline.
RUN_LIMIT_S = 10
#: Runs a module with a fault in it.
WRAPPER = "tests.faults.wrapped"
#: A connection that a proxy can stand in: the beginning of the name of who opens it, and the setting of the server.
LINKS = {
    "ingest-redis": ("ingest", "REDIS_URL"),
    "worker-redis": ("worker", "REDIS_URL"),
    "ingest-nats": ("ingest", "NATS_URL"),
}


class Setup(NamedTuple):
    """What a case needs beside the usual stack."""

    workers: int = 2
    pool: str = "solo"
    #: By the beginning of a process's name.
    inside: Mapping[str, Fault] = {}
    links: tuple[str, ...] = ()
    #: None: the project's own.
    strategies: Path | None = STRATEGIES
    #: More settings, and more of the workers' command line.
    environment: Mapping[str, str] = {}
    worker_options: tuple[str, ...] = ()


class Rig(Stack):
    """A stack that can be tampered with."""

    def __init__(self, instance: Instance, plan: Plan, setup: Setup, closing: ExitStack) -> None:
        self._setup, self._closing = setup, closing
        self.proxies: dict[str, Proxy] = {}
        #: By the beginning of a process's name.
        self.inside = _counted(setup.inside, instance.directory)
        super().__init__(instance, plan)
        self.ports = {self.ingest: self.http_port}
        self.ingest.restart = "ingest" in setup.inside

    def start_ingest(self, name: str, **environment: str) -> Process:
        """Start one more ingest process, which is started again when it ends."""
        port = free_port()
        process = self._start(name, ["-m", "ingest"], {"HTTP_PORT": str(port)} | environment, restart=True)
        self.ports[process] = port
        return process

    def start_part(self, name: str, arguments: Sequence[str]) -> Process:
        """Start one more process of the stack, a Python with these arguments, which ends by itself."""
        process = self._start(name, arguments, {"LOG_LEVEL": "WARNING"})
        process.release()
        return process

    def build_in(self, faults: Mapping[str, Fault]) -> list[Process]:
        """Build these faults into processes instead of others, from their next start on; return which processes."""
        self.inside = _counted(faults, self.instance.directory)
        changed = []
        for process in (*self.ports, *self.workers):
            had, fault = process.environment.pop("TEST_FAULT", None), self._fault_in(process.name)
            python, option, *words = (word for word in process.command if word != WRAPPER)
            process.restart_as((python, option, *([WRAPPER] if fault else []), *words))
            if fault:
                process.environment["TEST_FAULT"] = msgspec.json.encode(fault).decode()
            if had or fault:
                changed.append(process)
        return changed

    def _fault_in(self, name: str) -> Fault | None:
        return next((fault for begins, fault in self.inside.items() if name.startswith(begins)), None)

    def _environment(self, plan: Plan) -> dict[str, str]:
        servers = {"REDIS_URL": self.redis_url, "NATS_URL": self.nats_url}
        for link in self._setup.links:
            target = urlsplit(servers[LINKS[link][1]]).port or 0
            self.proxies[link] = self._closing.enter_context(Proxy(target))
        return super()._environment(plan)

    def _start(
        self,
        name: str,
        arguments: Sequence[str],
        more: Mapping[str, str] | None = None,
        *,
        restart: bool = False,
    ) -> Process:
        environment = dict(more or {})
        for link, proxy in self.proxies.items():
            opener, setting = LINKS[link]
            if name.startswith(opener):
                parts = urlsplit(self.environment[setting])
                environment[setting] = parts._replace(netloc=f"{HOST}:{proxy.port}").geturl()
        if name.startswith("worker"):
            arguments = [*arguments, *self._setup.worker_options]
        fault = self._fault_in(name)
        if fault:
            environment["TEST_FAULT"] = msgspec.json.encode(fault).decode()
            arguments = ["-m", WRAPPER, *arguments[1:]]
        return super()._start(name, arguments, environment, restart=restart)


def _counted(faults: Mapping[str, Fault], directory: Path) -> dict[str, Fault]:
    """Return the faults with a new file each that counts how often they happened."""
    counted = {}
    for name, fault in faults.items():
        counters = directory / f"counters-{name}"
        counters.unlink(missing_ok=True)
        counted[name] = msgspec.structs.replace(fault, counters=str(counters))
    return counted


@contextmanager
def rig(setup: Setup, mode: str) -> Iterator[Rig]:
    """Start it; end all of it behind the test."""
    environment = {
        "INGEST_SOURCE": mode,
        **({"STRATEGIES_FILE": str(setup.strategies)} if setup.strategies else {}),
        "SIGNAL_MAX_AGE_S": "0",
        "INGEST_DRAIN_S": "60",
        "RUN_LIMIT_S": str(RUN_LIMIT_S),
        "LOG_FORMAT": "json",
        **setup.environment,
    }
    plan = Plan(setup.workers, setup.pool, None, environment, ("--enable-debug-command", "local"))
    with ExitStack() as closing, Instance("faults") as instance:
        stack = Rig(instance, plan, setup, closing)
        stack.wait_until_ready()
        yield stack
