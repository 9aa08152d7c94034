"""The whole pipeline as processes of one instance: servers, ingest, workers; Flower and a feed when asked for."""

import http.client
import json
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from compose.local.processes import ROOT, Instance, LocalStackError, Process
from compose.local.servers import HOST, free_port, start_nats, start_redis
from compose.local.waiting import wait_for
from tasks import configuration
from tasks.configuration import import_path
from tasks.settings import SECRETS, Settings, load

#: Settings of the environment that would lead the stack's processes elsewhere.
_NOT_INHERITED = {
    "SIGNAL_SUBJECT",
    "VERDICT_SUBJECT",
    "ALERT_SUBJECT",
    *(name.upper() for name in Settings.model_fields if name.startswith(("nats_", "redis_"))),
    # The API's is that of whoever starts the stack.
    *(f"{name}{end}".upper() for name in SECRETS if name != "api_token" for end in ("", "_file")),
}
_START_S = 60.0


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what processes of a stack take over from whoever starts it."""
    return {name: value for name, value in environment.items() if name not in _NOT_INHERITED}


class Plan(NamedTuple):
    """What to start."""

    workers: int = 2
    pool: str = "prefork"
    #: Lanes of each pool that is keyed by symbol; None leaves them as configured.
    partitions: int | None = None
    #: More environment variables for every process.
    environment: Mapping[str, str] = {}
    #: More command-line options of Valkey.
    redis_options: Sequence[str] = ()
    #: Where the code is that the processes run.
    tree: Path = ROOT


class Stack:
    """A running pipeline. Starting it takes a few seconds."""

    def __init__(self, instance: Instance, plan: Plan) -> None:
        """Start servers, ingest and workers. Raises SettingsError for a strategies file that can't be used."""
        self.instance = instance
        self.tree = plan.tree
        self.strategies_file = strategies_file(instance.directory, plan)
        self.nats, self.nats_url = start_nats(instance)
        self.redis, self.redis_url = start_redis(instance, options=plan.redis_options)
        self.http_port = free_port()
        #: Where each worker answers, in the order of `workers`.
        self.worker_ports = [free_port() for _ in range(plan.workers)]
        self.environment = self._environment(plan)
        self.ingest = self._start("ingest", ["-m", "ingest"])
        pools = ",".join(configuration.read(self.strategies_file).pools)
        self.workers = [
            self._start_worker(number, port, plan.pool, pools) for number, port in enumerate(self.worker_ports, start=1)
        ]

    def wait_until_ready(self) -> None:
        """Wait for ingest and every worker. Raises LocalStackError with the log of what failed."""
        try:
            wait_for(lambda: not self.instance.watch() and all(map(_is_ready, self._ports.values())), _START_S)
        except TimeoutError:
            late = next((each for each in self._ports if not _is_ready(self._ports[each])), self.ingest)
            raise LocalStackError(
                f"{late.name} is not ready after {_START_S:g} s; its log ends with:{late.tail()}"
            ) from None
        for process in (self.nats, self.redis, *self.workers):
            process.keep_running()

    def wait_until_workers_are_known(self) -> None:
        """Wait until ingest knows of every worker; one that ends is started again. Raises LocalStackError."""
        wanted = len(self.workers)
        try:
            wait_for(lambda: not self.instance.watch() and self.known_workers() == wanted, _START_S)
        except TimeoutError:
            late = next((each for each in self.workers if each.returncode is not None), self.ingest)
            raise LocalStackError(
                f"ingest knows {self.known_workers()} of {wanted} workers after {_START_S:g} s; "
                f"the log of {late.name} ends with:{late.tail()}"
            ) from None

    def known_workers(self) -> int:
        """Return how many workers ingest knows."""
        return _ready(self.http_port).get("workers") or 0

    @property
    def settings(self) -> Settings:
        """The settings under which the processes run."""
        ours = {
            name.lower(): value for name, value in self.environment.items() if name.lower() in Settings.model_fields
        }
        return Settings.model_validate(dict.fromkeys(SECRETS, "") | ours)

    def start_flower(self, port: int | None = None) -> str:
        """Start the dashboard; return its URL. Raises LocalStackError if `port` is given and taken."""
        number = port or free_port()
        if not _is_free(number):
            raise LocalStackError(f"Flower's port {number} is taken; choose another one with --flower-port")
        self.flower = self._start(
            "flower", ["-m", "celery", "-A", "tasks", "flower", f"--address={HOST}", f"--port={number}"], restart=True
        )
        return f"http://{HOST}:{number}"

    def start_feed(self, arguments: Sequence[str]) -> Process:
        """Start `python -m ingest ARGUMENTS`, which puts frames on NATS and ends when it has no more."""
        feed = self._start("feed", ["-m", "ingest", *arguments], {"LOG_LEVEL": "WARNING"})
        feed.release()
        return feed

    def _environment(self, plan: Plan) -> dict[str, str]:
        return inherited(os.environ) | {
            "PYTHONPATH": str(plan.tree),
            "PYTHONUNBUFFERED": "1",
            "NATS_URL": self.nats_url,
            # Also what other exchanges' feeds publish, and replays of it.
            "NATS_SUBJECTS": "binance.>,market.>",
            "REDIS_URL": self.redis_url,
            "NAMESPACE": "local",
            "STRATEGIES_FILE": str(self.strategies_file),
            # The processes run elsewhere, and the file may be a copy.
            "STRATEGIES_PATH": os.pathsep.join(map(str, import_path.folders(load()))),
            "HTTP_HOST": HOST,
            "HTTP_PORT": str(self.http_port),
            "METRICS_STRICT_PORT": "1",
            "LOG_FORMAT": "console",
            **plan.environment,
        }

    def _start(
        self, name: str, arguments: Sequence[str], more: Mapping[str, str] | None = None, *, restart: bool = False
    ) -> Process:
        environment = self.environment | dict(more or {})
        return self.instance.start(name, [sys.executable, *arguments], environment, self.tree, restart=restart)

    def _start_worker(self, number: int, port: int, pool: str, queues: str) -> Process:
        name = f"worker-{number}"
        celery = ["-m", "celery", "-A", "tasks", "worker", "-Q", queues, "--pool", pool, "--concurrency", "1"]
        named = ["--loglevel", "WARNING", "-n", f"{name}@%h"]
        return self._start(name, [*celery, *named], {"LOG_LEVEL": "WARNING", "WORKER_HTTP_PORT": str(port)})

    @property
    def _ports(self) -> dict[Process, int]:
        return {self.ingest: self.http_port} | dict(zip(self.workers, self.worker_ports, strict=True))


def _is_ready(port: int) -> bool:
    return bool(_ready(port).get("ok"))


def _ready(port: int) -> dict[str, Any]:
    """Return what /ready says; nothing where nobody answers."""
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    with closing(connection), suppress(OSError, ValueError, http.client.HTTPException):
        connection.request("GET", "/ready")
        told: dict[str, Any] = json.loads(connection.getresponse().read())
        return told
    return {}


def _is_free(port: int) -> bool:
    with suppress(OSError):
        free_port(port)
        return True
    return False


def strategies_file(directory: Path, plan: Plan) -> Path:
    """Return the configured file, or a copy of it with `plan.partitions`."""
    file = load().strategies_file.resolve()
    configuration.read(file)
    if plan.partitions is None:
        return file
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    for pool in document["pools"].values():
        pool["partitions"] = plan.partitions if pool.get("key", "symbol") == "symbol" else 1
    copy = directory / "strategies.toml"
    copy.write_text(to_toml(document), encoding="utf-8")
    return copy


def to_toml(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> str:
    """Write nested tables of numbers, strings, booleans and lists of them: JSON's notation of these is TOML's too."""
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    lines = [f"[{'.'.join(map(json.dumps, path))}]"] if path else []
    lines += [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in plain.items()]
    below = (to_toml(value, (*path, key)) for key, value in table.items() if key not in plain)
    return "\n".join([*lines, *below]) + "\n"
