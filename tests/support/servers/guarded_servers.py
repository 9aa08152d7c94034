"""Everything of ours between a Redis and a NATS where each role has its own user, with the rights of docs/security.md."""

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from functools import partial

import redis

from compose.local.processes import ROOT, Instance, Process
from compose.local.servers import free_port, start_nats
from tests.support.events import TIME_MS
from tests.support.servers.nats_logins import SECRET, seed, user_key
from tests.support.service import get
from tests.support.starting import start
from tests.support.waiting import wait_for

TEXT = (ROOT / "docs" / "security.md").read_text()
#: By role: what stands behind the password in the ACL file.
RIGHTS: dict[str, list[str]] = {
    role: rights.split() for role, rights in re.findall(r"^user rs-(\w+) on >\S+ (.*)$", TEXT, re.MULTILINE)
}
#: What ingest needs besides for its HTTP API.
API_RIGHTS = re.search(r"`rs-ingest` needs more for the API: `([^`]+)`", TEXT)[1].split()  # type: ignore[index]  # it is there
TABLE = TEXT.partition("| | publish | subscribe |\n")[2].partition("\n\n")[0]


def _subjects(*rows: str) -> tuple[list[str], list[str]]:
    """Return the subjects to publish to and to subscribe to that the docs name in these rows."""
    cells = {
        cell.replace("`", "").strip(): others for _, cell, *others in (line.split("|") for line in TABLE.splitlines())
    }
    publish, subscribe = (
        [subject for row in rows for subject in re.findall(r"`(\S+\.\S+)`", cells[row][which])] for which in (0, 1)
    )
    return publish, subscribe


#: By role: subjects to publish to, and to subscribe to.
PERMISSIONS = {
    "ingest": _subjects("ingest", "ingest, jetstream"),
    "feed": _subjects("feeds"),
    "recorder": _subjects("record", "ingest, jetstream"),
    "research": _subjects("sweep --upload, research workers"),
    "operator": _subjects("doctor", "deadletters retry"),
    "why": _subjects("why, jetstream"),
}
STRATEGIES = """
[pools.trade]
kinds = ["trade"]
partitions = 2
[pools.trade.strategies."tests.support.strategies:Echo"]
"""
TRADES = 20
#: One line is refused: so there is a dead letter.
RECORDING = "".join(
    f'{{"stream":"btcusdt@trade","data":{{"e":"trade","E":{TIME_MS + id_},"s":"BTCUSDT","t":{id_},"p":"1","q":"1",'
    f'"T":{TIME_MS},"m":true}},"received_at":{TIME_MS}000000}}\n'
    for id_ in (*range(1, TRADES), 10**30)
)


def _is_well(port: int, path: str) -> bool:
    return get(port, path)[0] == 200


def environment(**more: str) -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT), "LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG", "HTTP_PORT": str(free_port()), **more}


def ran(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m ...` to its end."""
    return start(list(arguments), os.environ | environment)


def give_rights(admin: redis.Redis, rights_of_all: Mapping[str, Sequence[str]]) -> None:
    """Make the users of docs/security.md; each one's password is SECRET and its role."""
    for role, rights in rights_of_all.items():
        admin.execute_command("ACL", "SETUSER", f"rs-{role}", "on", f">{SECRET}-{role}", *rights)  # type: ignore[no-untyped-call]  # redis-py's gap


class Guarded:
    """The processes, and all that they say."""

    def __init__(self, instance: Instance, redis_url: str, **more: str) -> None:
        self.instance, self._redis_url = instance, redis_url
        keys = {role: user_key() for role in PERMISSIONS}
        users = [
            f"{{ nkey: {keys[role].public_key.decode()}, permissions: {{ publish: {may}, subscribe: {hear} }} }}"
            for role, (may, hear) in PERMISSIONS.items()
        ]
        file = instance.directory / "nats.conf"
        file.write_text(f"authorization {{ users: [{', '.join(users)}] }}".replace("'", '"'))
        self.nats, self.nats_url = start_nats(instance, options=("--config", str(file)))
        for role, key in keys.items():
            (instance.directory / f"{role}.nk").write_text(seed(key) + "\n")
        self.secrets = [SECRET, *(seed(key) for key in keys.values())]
        (instance.directory / "strategies.toml").write_text(STRATEGIES)
        (instance.directory / "recording.jsonl").write_text(RECORDING)
        self._common = {
            "NATS_URL": self.nats_url, "INGEST_SOURCE": "jetstream", "INGEST_STREAM_MAX_BYTES": str(2**20),
            "SIGNAL_MAX_AGE_S": "0", "STRATEGIES_FILE": str(instance.directory / "strategies.toml"), **more,
        }  # fmt: skip
        #: All that anything said.
        self.said: list[str] = []

    def url(self, role: str) -> str:
        user = "operator" if role == "why" else role
        return self._redis_url.replace("//", f"//rs-{user}:{SECRET}-{user}@")

    def environment(self, role: str, **more: str) -> dict[str, str]:
        key = self.instance.directory / f"{role}.nk"
        login = {"NATS_NKEY_FILE": str(key)} if key.exists() else {}
        return environment(REDIS_URL=self.url(role), WORKER_HTTP_PORT=str(free_port()), **login, **self._common, **more)

    def start(self, role: str, arguments: Sequence[str], **more: str) -> Process:
        return self.instance.start(
            role, [sys.executable, "-m", *arguments], os.environ | self.environment(role, **more)
        )

    def start_all(self) -> dict[str, Process]:
        """Start ingest, a worker as anybody would, and Flower; wait until they are ready."""
        flower_port = free_port()
        flower = ["celery", "-A", "tasks", "flower", "--address=127.0.0.1", f"--port={flower_port}"]
        worker = ["celery", "-A", "tasks", "worker", "-Q", "trade", "--concurrency", "1", "-E"]
        started = {
            "ingest": self.start("ingest", ["ingest"]),
            "worker": self.start("worker", worker),
            "flower": self.start("flower", flower, FLOWER_UNAUTHENTICATED_API="1"),
        }
        self.flower_url = f"http://127.0.0.1:{flower_port}"
        self.ports = {
            "ingest": int(started["ingest"].environment["HTTP_PORT"]),
            "worker": int(started["worker"].environment["WORKER_HTTP_PORT"]),
        }
        for role, port in self.ports.items():
            wait_for(partial(_is_well, port, "/ready"), f"{role}{started[role].tail()}")
        wait_for(partial(_is_well, flower_port, "/healthcheck"), f"Flower{started['flower'].tail()}")
        return started

    def start_research_worker(self) -> Process:
        """Start a worker for sweeps, which fetches recordings from NATS; wait until it is ready."""
        celery = ["celery", "-A", "tasks", "worker", "-Q", "research", "--concurrency", "1"]
        folder, login = str(self.instance.directory / "fetched"), str(self.instance.directory / "research.nk")
        started = self.start("worker", celery, RESEARCH_DIR=folder, NATS_NKEY_FILE=login)
        port = int(started.environment["WORKER_HTTP_PORT"])
        wait_for(partial(_is_well, port, "/ready"), f"research worker{started.tail()}")
        return started

    def run(self, role: str, *arguments: str) -> str:
        """Run a command to its good end; return what it printed."""
        done = ran(self.environment(role), *arguments)
        self.said += [done.stdout, done.stderr]
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def operate(self, commands: Sequence[Sequence[str]]) -> None:
        """Run `python -m tasks` with each of `commands`; in one process, because its start is what takes long."""
        script = f"from tasks.cli.main import app\nfor its in {list(commands)!r}:\n    assert not app(its, standalone_mode=False)"
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | self.environment("operator"), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        self.said += [done.stdout, done.stderr]
        assert done.returncode == 0, (done.stdout, done.stderr)

    def ask_flower(self, path: str) -> str:
        with urllib.request.urlopen(self.flower_url + path, timeout=20) as answer:  # noqa: S310 of this machine
            text: str = answer.read().decode()
        self.said.append(text)
        return text

    def poll(self) -> None:
        """Hear what the endpoints say."""
        for port in self.ports.values():
            self.said += [get(port, path)[1] for path in ("/", "/ready", "/healthz", "/metrics")]
