"""The stack of compose.yaml in real containers. Skipped where no Docker engine with Compose answers."""

import asyncio
import base64
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import nats
import pytest

from compose.local.processes import ROOT
from compose.local.servers import free_port
from tests.acceptance.pipeline import backtested
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(900)  # the first one builds the image
USDM = "binance-usdm-20240808.jsonl.gz"
IMAGE = "realtime-strategies:acceptance"


class Stack:
    """One Compose project of its own, on free ports."""

    def __init__(self, name: str, **settings: str) -> None:
        self.name = name
        self.ports = {variable: free_port() for variable in ("NATS_PORT", "HTTP_PORT", "FLOWER_PORT")}
        mine = {"COMPOSE_PROJECT_NAME": name, "IMAGE": IMAGE, **settings}
        self._environment = os.environ | mine | {variable: str(port) for variable, port in self.ports.items()}

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

    def restarts(self) -> list[int]:
        """How often the engine has started each worker again."""
        return [each["RestartCount"] for each in self.containers("worker")]

    def kill_worker(self, index: int) -> None:
        """SIGKILL every process of a worker but its init, which then ends; an engine's kill would bar a restart."""
        before = self.restarts()[index]

        def killed() -> bool:
            # In vain while the engine is still starting it again after the last time.
            container = self.containers("worker")[index]["Id"]
            run(["docker", "exec", container, "sh", "-c", "kill -9 -1"], check=False)
            return self.restarts()[index] > before

        wait_for(killed, 60, "the worker's restart")

    def left(self) -> str:
        """What the engine still holds of this project."""
        label = f"label=com.docker.compose.project={self.name}"
        commands = (["ps", "--all"], ["volume", "ls"], ["network", "ls"])
        return "".join(run(["docker", *command, "--quiet", "--filter", label]) for command in commands)


def run(command: Sequence[str], environment: dict[str, str] | None = None, *, check: bool = True) -> str:
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0 or not check, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def image() -> Iterator[None]:
    """The image, built once for all tests of this file."""
    if shutil.which("docker") is None:
        pytest.skip("there is no docker here")
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        if subprocess.run(command, capture_output=True, check=False, timeout=60).returncode:
            pytest.skip(f"no Docker engine with Compose answers here ({' '.join(command)} failed)")
    # With the builder that Compose uses too, so that `up` finds what it needs.
    run(["docker", "buildx", "build", "--load", "--quiet", "--target", "production", "--tag", IMAGE, "."])
    yield
    run(["docker", "image", "rm", IMAGE], check=False)


@contextmanager
def running(name: str, *options: str, **settings: str) -> Iterator[Stack]:
    """Give a started stack; behind the test nothing may be left of it."""
    stack = Stack(f"rs-test-{os.getpid()}-{name}", **settings)
    try:
        stack.compose("up", "--detach", *options)
        yield stack
    finally:
        stack.compose("--profile", "live", "down", "--volumes", "--remove-orphans", check=False)
    assert stack.left() == ""


@pytest.fixture(scope="module")
def stack(image: None) -> Iterator[Stack]:
    """What plain `docker compose up` starts."""
    with running("plain") as started:
        yield started


def answer(port: int, path: str = "/", credentials: str = "") -> int:
    """Give the status of an HTTP request."""
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


def test_up_brings_signals_of_the_simulated_market_to_a_client_on_this_machine(stack: Stack):
    signal = asyncio.run(next_signal(stack.ports["NATS_PORT"]))
    assert signal["source"] == "realtime-strategies"
    assert signal["price"] > 0
    assert answer(stack.ports["HTTP_PORT"], "/ready") == 200


def test_flower_asks_for_the_password_that_was_made_up(stack: Stack):
    port = stack.ports["FLOWER_PORT"]
    wait_for(lambda: answer(port, "/healthcheck") == 200, 60, "Flower")
    credentials = stack.compose("exec", "-T", "flower", "cat", "/run/passwords/flower")
    assert answer(port) == 401
    assert answer(port, credentials="admin:wrong") == 401
    assert answer(port, credentials=credentials) == 200


def test_redis_asks_for_a_password_and_is_not_published(stack: Stack):
    assert "NOAUTH" in stack.compose("exec", "-T", "redis", "redis-cli", "ping")
    assert not any(stack.containers("redis")[0]["NetworkSettings"]["Ports"].values())


@pytest.mark.parametrize("service", ["redis", "nats", "ingest", "worker", "flower", "simulate"])
def test_a_container_is_not_root_has_no_capability_and_can_not_change_its_image(stack: Stack, service: str):
    script = "id -u; grep CapEff /proc/1/status; touch /etc/x 2>&1 || true"
    user, capabilities, refusal = stack.compose("exec", "-T", service, "sh", "-c", script).splitlines()
    assert int(user) > 0
    assert int(capabilities.split()[1], 16) == 0
    assert "Read-only file system" in refusal


def test_the_live_feed_refuses_to_run_beside_the_simulator(stack: Stack):
    stack.compose("--profile", "live", "up", "--detach", "--no-deps", "live")
    wait_for(lambda: "error: the simulator runs" in stack.compose("--profile", "live", "logs", "live"), 30)
    stack.compose("--profile", "live", "rm", "--stop", "--force", "live")


def test_more_workers_share_the_work_and_a_killed_one_comes_back(stack: Stack):
    stack.compose("up", "--detach", "--scale", "worker=4")
    wait_for(lambda: stack.logs("worker").count(" ready.") >= 4, 60, "four workers")
    stack.kill_worker(1)
    wait_for(lambda: stack.logs("worker").count(" ready.") >= 5, 60, "the worker that was killed")
    assert asyncio.run(next_signal(stack.ports["NATS_PORT"]))


def test_stop_ends_feed_ingest_workers_and_servers_in_this_order_with_nothing_left(image: None):
    with running("stop", "--scale", "worker=2") as stack:
        asyncio.run(next_signal(stack.ports["NATS_PORT"]))
        stack.compose("stop")
        ended = {
            service: [each["State"]["FinishedAt"] for each in stack.containers(service)]
            for service in ("simulate", "ingest", "worker", "redis")
        }
        assert max(ended["simulate"]) < min(ended["ingest"])
        assert max(ended["ingest"]) < min(ended["worker"])
        assert max(ended["worker"]) < min(ended["redis"])
        assert {each["State"]["ExitCode"] for each in stack.containers("ingest")} == {0}
        assert json.loads(stack.logs("ingest").splitlines()[-1])["event"] == "stopped"


def test_killed_workers_and_a_restarted_redis_give_the_signals_of_the_backtest(image: None, recordings: Path):
    options = ("--scale", "worker=4", "--scale", "simulate=0", "--scale", "flower=0")
    with running("digest", *options, SIGNAL_MAX_AGE_S="0") as stack:
        wait_for(lambda: answer(stack.ports["HTTP_PORT"], "/ready") == 200, 60, "ingest")
        mount = ("--volume", f"{recordings}:/recordings:ro")
        replay = ("python", "-m", "ingest", "replay", f"/recordings/{USDM}", "--speed", "5")
        feed = stack.compose("run", "--detach", "--no-deps", *mount, "worker", *replay).strip()
        for index in (0, 1, 2, 3, 0, 1):
            stack.kill_worker(index)
        stack.compose("restart", "redis")
        assert run(["docker", "inspect", "--format", "{{.State.Running}}", feed]).strip() == "true"
        assert run(["docker", "wait", feed]).strip() == "0"
        stack.compose("stop", "ingest")
        assert {each["State"]["ExitCode"] for each in stack.containers("ingest")} == {0}
        digest = stack.compose("exec", "-T", "worker", "python", "-m", "tasks", "signals", "--digest").strip()
        assert digest == backtested([recordings / USDM]).digest
