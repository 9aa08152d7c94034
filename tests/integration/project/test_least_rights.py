"""The whole pipeline with the rights that docs/security.md names, and over TLS. No secret is in anything that is said."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from compose.local.processes import Instance
from compose.local.servers import HOST, free_port, start_redis
from tasks.ledger import LedgerKeys, heartbeats
from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import DeadLetter
from tests.data import RECORDING
from tests.support.events import trade
from tests.support.needs import missing
from tests.support.servers.guarded_servers import RIGHTS, TRADES, Guarded, give_rights
from tests.support.servers.nats_logins import SECRET, Certificates
from tests.support.waiting import wait_for

COMMANDS = (
    ("deadletters", "retry", "--reason", "condemned"), ("signals", "--digest"), ("positions", "--open"), ("positions", "--digest"), ("deadletters", "drop", "--yes", "--last", "1"),
    ("strategies", "set", "all", "gate.min_confidence=0.1"), ("strategies", "history", "--diff"),
    ("strategies", "set", "echo", "notional=7", "--symbol", "BTCUSDT"), ("strategies", "rollback"),
    ("strategies", "reset", "--all"), ("config", "show"), ("doctor",),
    ("state", "show"), ("state", "reset", "echo", "--yes"),
    ("state", "seed", str(RECORDING), "--strategy", "echo", "--symbol", "ETHUSDT"),
    ("state", "prune", "--idle", "1s", "--yes"), ("state", "history"),
)  # fmt: skip
TLS = ("REDIS_TLS_CA", "REDIS_TLS_CERT", "REDIS_TLS_KEY")
#: What nobody of ours may do.
FORBIDDEN: tuple[tuple[str, ...], ...] = (
    ("FLUSHALL",), ("SET", "others", "x"), ("GET", "others"), ("CONFIG", "SET", "maxmemory", "1"), ("KEYS", "*"),
    ("CONFIG", "GET", "requirepass"), ("PUBLISH", "others", "x"), ("ACL", "LIST"), ("SHUTDOWN",), ("EVAL", "return 1", "0"),
)  # fmt: skip


def denied(admin: redis.Redis) -> list[str]:
    """Return what Redis refused, by its own log."""
    log: Any = admin.acl_log()
    return [f"{entry['username']}: {entry['reason']} {entry['object']}" for entry in log]


def worked_off(admin: redis.Redis) -> bool:
    counters: Any = admin.hgetall("rs:counters")
    return int(counters.get(b"applied", 0)) == TRADES - 1


def quarantine(admin: redis.Redis) -> None:
    """Leave a letter whose event a retry can get applied: its record has not come that far."""
    letter = DeadLetter("condemned", "5 runs", pool="trade", event=trade(id=TRADES + 1))
    admin.xadd("rs:deadletters", {"letter": dead_letters.pack(letter)})


def why(admin: redis.Redis, recording: Path) -> tuple[str, ...]:
    """Return the command that explains the last signal."""
    newest: Any = admin.xrevrange("rs:signals", count=1)
    [(_, fields)] = newest
    return "why", json.loads(fields[b"signal"])["id"], "--from", str(recording)


class Server(NamedTuple):
    """A Redis whose users have the rights of the docs."""

    url: str
    admin: redis.Redis
    #: What else our processes need to reach it.
    settings: dict[str, str]


@contextmanager
def plain(instance: Instance) -> Iterator[Server]:
    url = start_redis(instance)[1]
    with redis.Redis.from_url(url) as admin:
        admin.config_set("appendonly", "yes")
        give_rights(admin, RIGHTS)
        yield Server(url, admin, {})


@contextmanager
def with_tls(instance: Instance) -> Iterator[Server]:
    """Ask for certificates of both sides. The wheel of Valkey knows no TLS."""
    program = shutil.which("redis-server") or missing("redis-server with TLS (Debian's redis-server) is not installed")
    ours, port = Certificates(instance.directory), free_port()
    instance.start("redis", [
        program, "--bind", HOST, "--port", "0", "--tls-port", str(port), "--tls-auth-clients", "yes", "--save", "",
        "--appendonly", "yes",
        "--tls-cert-file", ours.server, "--tls-key-file", ours.server, "--tls-ca-cert-file", ours.ca,
        "--maxmemory-policy", "noeviction", "--dir", str(instance.directory),
    ])  # fmt: skip
    url = f"rediss://{HOST}:{port}/0"
    files: dict[str, Any] = {"ssl_ca_certs": ours.ca, "ssl_certfile": ours.client, "ssl_keyfile": ours.client}
    with redis.Redis.from_url(url, **files) as admin:
        wait_for(lambda: _answers(admin), "Redis")
        # Debian 12's Redis does not know this command yet, and so has no right to it.
        give_rights(admin, {role: [each for each in its if each != "+client|setinfo"] for role, its in RIGHTS.items()})
        yield Server(url, admin, dict(zip(TLS, (ours.ca, ours.client, ours.client), strict=True)))


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@pytest.mark.parametrize(
    "server", [pytest.param(plain, marks=pytest.mark.slow), pytest.param(with_tls, marks=pytest.mark.ci)]
)
def test_the_rights_in_the_docs_are_all_that_anything_of_ours_needs(
    server: Callable[[Instance], AbstractContextManager[Server]],
):
    with Instance("rights") as instance, server(instance) as on:
        guarded = Guarded(instance, on.url, **on.settings)
        processes = guarded.start_all()
        recorded = instance.directory / "recorded.jsonl"
        processes["recorder"] = guarded.start("recorder", ["ingest", "record", str(recorded)])
        wait_for(lambda: '"recording"' in processes["recorder"].log.read_text(), "the recorder")
        guarded.run("feed", "ingest", "replay", str(instance.directory / "recording.jsonl"), "--speed", "max")
        wait_for(lambda: worked_off(on.admin), f"the commits{processes['worker'].tail()}{denied(on.admin)}")
        wait_for(lambda: on.admin.xlen("rs:deadletters") == 1, "the dead letter")
        assert '"messages": 0' in guarded.ask_flower("/api/queues/length")
        wait_for(lambda: '"pool"' in guarded.ask_flower("/api/workers?refresh=1"), "the worker in Flower")
        instance.stop(processes["recorder"])
        assert recorded.read_text() == (instance.directory / "recording.jsonl").read_text()
        quarantine(on.admin)
        explain = why(on.admin, instance.directory / "recording.jsonl")
        guarded.operate([explain, *COMMANDS])
        guarded.run("why", "tasks", *explain[:2])
        guarded.poll()
        for role in ("ingest", "worker", "flower"):
            instance.stop(processes[role])
        assert denied(on.admin) == []
        said = [*guarded.said, *(process.log.read_text() for process in processes.values())]
    assert not [text for text in said if "permissions violation" in text.lower()]
    assert not [secret for secret in guarded.secrets for text in said if secret in text]


def takes_slices(client: redis.Redis) -> bool:
    return any("research" in each.queues for each in heartbeats.read(client, LedgerKeys("rs")))


def test_the_rights_in_the_docs_are_enough_for_a_sweep_on_workers(tmp_path: Path):
    """The worker fetches the recording from NATS."""
    sweep = tmp_path / "sweep.toml"
    sweep.write_text('[sweep."tests.support.strategies:Echo"]\nnotional = [7, 8]\n')
    with Instance("rights") as instance, plain(instance) as on:
        guarded = Guarded(instance, on.url)
        worker = guarded.start_research_worker()
        wait_for(lambda: takes_slices(on.admin), "the worker to be known")
        files = str(sweep), str(instance.directory / "recording.jsonl")
        rows = json.loads(guarded.run("research", "tasks", "sweep", *files, "--upload", "--json"))["rows"]
        assert [row["signals"] for row in rows] == [TRADES - 1] * 2
        assert "on 1 worker with 1 process" in "".join(guarded.said)
        instance.stop(worker)
        assert denied(on.admin) == []
        said = [*guarded.said, worker.log.read_text()]
    assert not [text for text in said if "permissions violation" in text.lower()]
    assert not [secret for secret in guarded.secrets for text in said if secret in text]


@pytest.mark.parametrize("role", RIGHTS)
def test_no_role_may_touch_what_is_others_or_the_server_itself(guarded_redis: redis.Redis, role: str):
    where = guarded_redis.get_connection_kwargs()
    client = redis.Redis(host=where["host"], port=where["port"], username=f"rs-{role}", password=f"{SECRET}-{role}")
    for command in FORBIDDEN:
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py's gap


@pytest.fixture(scope="module")
def guarded_redis() -> Iterator[redis.Redis]:
    with Instance("rights") as instance, plain(instance) as on:
        yield on.admin
