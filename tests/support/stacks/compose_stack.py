"""A Compose project of a test, in real containers, and what an engine and its services answer."""

import base64
import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import nats

from compose.local.processes import ROOT
from compose.local.servers import free_port
from tests.support.waiting import wait_for

IMAGE, NEXT_IMAGE = "realtime-strategies:acceptance", "realtime-strategies:acceptance-next"
PASSWORDS_IMAGE = "realtime-strategies-passwords:acceptance"
ONLY_THE_PIPELINE = ("--scale", "simulate=0", "--scale", "flower=0")
EVERY_PROFILE = tuple(part for name in ("live", "observability", "research", "deliver") for part in ("--profile", name))


class Stack:
    """One Compose project of its own, on free ports."""

    def __init__(self, name: str, **settings: str) -> None:
        self.name = name
        published = ("NATS_PORT", "HTTP_PORT", "FLOWER_PORT", "PROMETHEUS_PORT")
        self.ports = {variable: free_port() for variable in published}
        mine = {"COMPOSE_PROJECT_NAME": name, "IMAGE": IMAGE, "PASSWORDS_IMAGE": PASSWORDS_IMAGE, **settings}
        self._environment = os.environ | mine | {variable: str(port) for variable, port in self.ports.items()}

    def set(self, **settings: str) -> None:
        """Change what `.env` would say."""
        self._environment |= settings

    def compose(self, *arguments: str, check: bool = True) -> str:
        return run(["docker", "compose", *arguments], self._environment, check=check)

    def containers(self, service: str) -> list[dict[str, Any]]:
        """What the engine knows of a service's containers, without those that `run` started."""
        labels = {"project": self.name, "service": service, "oneoff": "False"}
        filters = [f"--filter=label=com.docker.compose.{label}={value}" for label, value in labels.items()]
        names = run(["docker", "ps", "--all", "--quiet", *filters]).split()
        return json.loads(run(["docker", "inspect", *names])) if names else []

    def logs(self, service: str) -> str:
        # Some versions of Compose clear the line first, terminal or not.
        return self.compose("logs", "--no-log-prefix", service).replace("\x1b[2K", "")

    def health(self, service: str) -> list[str]:
        """What `docker compose ps` says of each container of a service."""
        lines = self.compose("ps", "--format", "json", service).splitlines()
        return [json.loads(line)["Health"] for line in lines]

    def api(self, token: str, path: str, body: dict[str, str] | None = None) -> Any:
        """Return what ingest's HTTP API answers; with a body it is a POST. Raises HTTPError."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports['HTTP_PORT']}/api/v1{path}",
            data=json.dumps(body).encode() if body else None,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 as above
            return json.load(response)["data"]

    def digest(self) -> str:
        """Stop ingest, which works off what is left, and return the digest of all that was committed."""
        self.compose("stop", "ingest")
        assert {each["State"]["ExitCode"] for each in self.containers("ingest")} == {0}, self.logs("ingest")[-2_000:]
        command = ("python", "-m", "tasks", "signals", "--digest")
        return self.compose("run", "--rm", "-T", "--no-deps", "ingest", *command).strip()

    def start_replay(self, recording: Path, speed: str) -> str:
        """Start the replay of a recording; return its container."""
        mount = ("--volume", f"{recording.parent}:/recordings:ro")
        replay = ("python", "-m", "ingest", "replay", f"/recordings/{recording.name}", "--speed", speed)
        return self.compose("run", "--detach", "--no-deps", *mount, "ingest", *replay).strip()

    def sweep(self, sweep: Path, recording: Path, *options: str) -> Any:
        """Return the report of a sweep, which runs in a container of its workers' service."""
        mounts = [part for file in (sweep, recording) for part in ("--volume", f"{file}:/in/{file.name}:ro")]
        command = ("python", "-m", "tasks", "sweep", f"/in/{sweep.name}", f"/in/{recording.name}", "--json", *options)
        return json.loads(self.compose("run", "--rm", "-T", "--no-deps", *mounts, "worker-research", *command))

    def restarts(self) -> list[int]:
        """How often the engine has started each worker again."""
        return [each["RestartCount"] for each in self.containers("worker")]

    def kill_worker(self, index: int) -> None:
        """SIGKILL every process of a worker but its init, which then ends; an engine's kill would bar a restart."""
        before = self.restarts()[index]

        def killed() -> bool:
            # This fails while the engine is still starting it again after the last time.
            container = self.containers("worker")[index]["Id"]
            run(["docker", "exec", container, "sh", "-c", "kill -9 -1"], check=False)
            return self.restarts()[index] > before

        wait_for(killed, "the worker's restart")

    def left(self) -> str:
        """What the engine still holds of this project."""
        label = f"label=com.docker.compose.project={self.name}"
        commands = (["ps", "--all"], ["volume", "ls"], ["network", "ls"])
        return "".join(run(["docker", *command, "--quiet", "--filter", label]) for command in commands)


def run(command: Sequence[str], environment: dict[str, str] | None = None, *, check: bool = True) -> str:
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0 or not check, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@contextmanager
def running(name: str, *options: str, **settings: str) -> Iterator[Stack]:
    """A started stack; nothing may be left of it afterwards."""
    stack = Stack(f"rs-test-{os.getpid()}-{name}", **settings)
    try:
        stack.compose("up", "--detach", *options)
        yield stack
    finally:
        stack.compose(*EVERY_PROFILE, "down", "--volumes", "--remove-orphans", check=False)
    assert stack.left() == ""


def answer(port: int, path: str = "/", credentials: str = "") -> int:
    """Return the status of an HTTP request; 0: nobody answers."""
    token = base64.b64encode(credentials.encode()).decode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Basic {token}"} if credentials else {}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 a fixed scheme
            return int(response.status)
    except HTTPError as error:
        return error.code
    except OSError:
        return 0


async def next_signal(port: int) -> dict[str, Any]:
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    try:
        subscription = await client.subscribe("signals.>")
        return dict(json.loads((await subscription.next_msg(timeout=60)).data))
    finally:
        await client.close()


def committed(stack: Stack) -> float:
    """Return how many events the running ingest process knows to be committed."""
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{stack.ports['HTTP_PORT']}/metrics") as response:
        for line in response.read().decode().splitlines():
            if line.startswith("ingest_events_committed_total "):
                return float(line.split()[1])
    return 0.0
