"""The stack of compose.yaml in real containers. Skipped where no Docker engine with Compose answers."""

import asyncio
import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.support.browsing import FLAGS
from tests.support.needs import missing
from tests.support.stacks.compose_stack import (
    IMAGE,
    NEXT_IMAGE,
    ONLY_THE_PIPELINE,
    PASSWORDS_IMAGE,
    Stack,
    answer,
    committed,
    next_signal,
    run,
    running,
)
from tests.support.stacks.pipeline import backtested
from tests.support.waiting import wait_for

#: By service: what its user may do, and what another one may.
ROLES_OF_REDIS = {
    service: (service, allowed, refused)
    for service, allowed, refused in (
        ("ingest", "get('rs:layout')", ("set('else', 1)", "zadd('rs:celery:unacked_index', {'x': 1})")),
        (
            "worker",
            "hset('rs:workers', 'x', '')",
            ("set('rs:layout', 'x')", "hset('rs:configuration', 'version', 'x')"),
        ),
        ("flower", "get('rs:celery:x')", ("xadd('rs:signals', {'signal': 'x'})", "hset('rs:workers', 'x', '')")),
    )
}
TOKEN = "of-the-compose-tests-which-is-long-enough"  # noqa: S105 of a stack that ends with the tests
pytestmark = pytest.mark.timeout(900)  # the first one builds the image


@pytest.fixture(scope="module")
def image() -> Iterator[None]:
    """The image, built once for all tests of this file."""
    if shutil.which("docker") is None:
        pytest.skip("there is no docker here")
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        if subprocess.run(command, capture_output=True, check=False, timeout=60).returncode:
            pytest.skip(f"no Docker engine with Compose answers here ({' '.join(command)} failed)")
    # With the builder that Compose uses too, so that `up` finds what it needs.
    build = ["docker", "buildx", "build", "--load", "--quiet", "--target"]
    run([*build, "production", "--tag", IMAGE, "."])
    run([*build, "production", "--build-arg", "VERSION=9.9.9", "--tag", NEXT_IMAGE, "."])
    run([*build, "passwords", "--tag", PASSWORDS_IMAGE, "."])
    yield
    run(["docker", "image", "rm", IMAGE, NEXT_IMAGE, PASSWORDS_IMAGE], check=False)


@pytest.fixture(scope="module")
def stack(image: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """What plain `docker compose up` starts, with a token for the HTTP API."""
    token = tmp_path_factory.mktemp("api") / "token"
    token.write_text(TOKEN)
    token.chmod(0o644)  # for the container's user
    with running("plain", API_TOKEN_FILE=str(token)) as started:
        yield started


def test_up_delivers_signals_of_the_simulated_market_to_a_local_client(stack: Stack):
    signal = asyncio.run(next_signal(stack.ports["NATS_PORT"]))
    assert signal["source"] == "realtime-strategies"
    assert signal["price"] > 0
    assert answer(stack.ports["HTTP_PORT"], "/ready") == 200


def test_flower_asks_for_the_password_that_was_made_up(stack: Stack):
    port = stack.ports["FLOWER_PORT"]
    wait_for(lambda: answer(port, "/healthcheck") == 200, "Flower")
    credentials = stack.compose("exec", "-T", "flower", "cat", "/run/passwords/flower")
    assert answer(port) == 401
    assert answer(port, credentials="admin:wrong") == 401
    assert answer(port, credentials=credentials) == 200


def test_no_role_sees_the_password_of_another(stack: Stack):
    def seen(service: str) -> set[str]:
        return set(stack.compose("exec", "-T", service, "ls", "/run/passwords").split())

    assert {service: seen(service) for service in ("redis", "ingest", "worker", "flower")} == {
        "redis": {"redis", "redis.conf"}, "ingest": {"redis_url"}, "worker": {"redis_url"},
        "flower": {"redis_url", "flower"},
    }  # fmt: skip
    urls = {stack.compose("exec", "-T", each, "cat", "/run/passwords/redis_url") for each in ROLES_OF_REDIS}
    assert len(urls) == len(ROLES_OF_REDIS)


@pytest.mark.parametrize(("service", "allowed", "refused"), ROLES_OF_REDIS.values(), ids=ROLES_OF_REDIS)
def test_a_role_may_do_in_redis_what_is_its_own(stack: Stack, service: str, allowed: str, refused: Sequence[str]):
    code = "import redis; redis.Redis.from_url(open('/run/passwords/redis_url').read()).{}; print('done')"
    for command in (allowed, *refused, "flushall()", "config_get('requirepass')", "acl_list()"):
        tried = stack.compose("exec", "-T", service, "python", "-c", code.format(command), check=False)
        assert ("done" in tried) is (command == allowed), command


def test_commands_run_in_the_container_of_ingest(stack: Stack):
    def said(*command: str) -> str:
        return stack.compose("exec", "-T", "ingest", "python", "-m", "tasks", *command, check=False)

    assert '"fault"' not in (told := said("doctor", "--json")), told
    assert "NOPERM" not in told
    for command in ("signals --json", "positions --json", "deadletters list", "strategies get", "state show"):
        assert said(*command.split()), command


def test_flower_shows_the_batches_in_a_browser_that_knows_the_password(stack: Stack):
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        missing("Chromium is not installed")
    port = stack.ports["FLOWER_PORT"]
    wait_for(lambda: answer(port, "/healthcheck") == 200, "Flower")
    user, _, password = stack.compose("exec", "-T", "flower", "cat", "/run/passwords/flower").strip().partition(":")
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=path, args=FLAGS) as browser:
        page = browser.new_page(http_credentials={"username": user, "password": password})
        page.goto(f"http://127.0.0.1:{port}/tasks")
        expect(page.locator("#tasks-table tbody")).to_contain_text("SUCCESS", timeout=60_000)
        expect(page.locator("#tasks-table tbody")).to_contain_text("events")


def test_every_service_that_has_a_health_check_is_healthy_soon(stack: Stack):
    services = ("redis", "nats", "ingest", "worker", "flower")
    wait_for(lambda: all(stack.health(service) == ["healthy"] for service in services), "healthy services")


def test_prometheus_finds_ingest_and_the_workers_and_takes_the_rules(stack: Stack):
    stack.compose("--profile", "observability", "up", "--detach", "--no-deps", "prometheus")
    port = stack.ports["PROMETHEUS_PORT"]

    def told(what: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{what}", timeout=10) as response:
            return dict(json.load(response)["data"])

    def up() -> set[str]:
        return {each["labels"]["job"] for each in told("targets")["activeTargets"] if each["health"] == "up"}

    wait_for(
        lambda: answer(port, "/-/ready") == 200 and up() >= {"ingest", "worker"}, "Prometheus's targets", hangs_s=90
    )
    rules = [rule for group in told("rules")["groups"] for rule in group["rules"]]
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
    assert rules


def test_the_api_changes_a_strategy_for_who_has_the_token(stack: Stack):
    with pytest.raises(HTTPError, match="401"):
        stack.api("another", "/strategies")
    assert "iceberg" in {each["strategy_id"] for each in stack.api(TOKEN, "/strategies")}
    stack.api(TOKEN, "/strategies/iceberg/pause", {"reason": "tried"})
    assert "tried" in {each["reason"] for each in stack.api(TOKEN, "/configuration/history")}
    stack.api(TOKEN, "/strategies/iceberg/resume", {"reason": "tried"})


def test_a_delivery_writes_signals_to_its_log(stack: Stack):
    stack.compose("--profile", "deliver", "up", "--detach", "--no-deps", "deliver")
    wait_for(lambda: '"signal_id":' in stack.logs("deliver"), "signals in its log")
    wait_for(lambda: stack.health("deliver") == ["healthy"], "its health")
    stack.compose("--profile", "deliver", "rm", "--stop", "--force", "deliver")


def test_a_project_of_ones_own_is_an_image_with_its_strategy(image: None, tmp_path: Path):
    run([sys.executable, "-m", "tasks", "strategies", "new", "dip_buyer", "--dir", str(tmp_path / "own")])
    own = f"{IMAGE}-own"
    run(["docker", "buildx", "build", "--load", "--build-arg", f"IMAGE={IMAGE}", "--tag", own, str(tmp_path / "own")])
    try:
        check = ["python", "-m", "tasks", "strategies", "check", "dip_buyer:DipBuyer"]
        assert "failed" not in run(["docker", "run", "--rm", own, *check])
    finally:
        run(["docker", "image", "rm", own], check=False)


def test_redis_asks_for_a_password_and_is_not_published(stack: Stack):
    assert "NOAUTH" in stack.compose("exec", "-T", "redis", "redis-cli", "ping")
    assert not any(stack.containers("redis")[0]["NetworkSettings"]["Ports"].values())


@pytest.mark.parametrize("service", ["redis", "nats", "ingest", "worker", "flower", "simulate"])
def test_a_container_has_no_root_no_capabilities_and_a_read_only_image(stack: Stack, service: str):
    script = "id -u; grep CapEff /proc/1/status; touch /etc/x 2>&1 || true"
    user, capabilities, refusal = stack.compose("exec", "-T", service, "sh", "-c", script).splitlines()
    assert int(user) > 0
    assert int(capabilities.split()[1], 16) == 0
    assert "Read-only file system" in refusal


def test_the_live_feed_refuses_to_run_beside_the_simulator(stack: Stack):
    stack.compose("--profile", "live", "up", "--detach", "--no-deps", "live")
    wait_for(lambda: "error: the simulator runs" in stack.compose("--profile", "live", "logs", "live"))
    stack.compose("--profile", "live", "rm", "--stop", "--force", "live")


def test_more_workers_share_the_work_and_a_killed_one_comes_back(stack: Stack):
    stack.compose("up", "--detach", "--scale", "worker=4")
    wait_for(lambda: stack.logs("worker").count(" ready.") >= 4, "four workers")
    stack.kill_worker(1)
    wait_for(lambda: stack.logs("worker").count(" ready.") >= 5, "the worker that was killed")
    assert asyncio.run(next_signal(stack.ports["NATS_PORT"]))


def test_a_sweep_on_research_workers_has_the_rows_of_one_process(stack: Stack, recording: Path, tmp_path: Path):
    sweep = tmp_path / "sweep.toml"
    sweep.write_text("[sweep.trade_momentum]\nwindow = [20, 50]\n")
    sweep.chmod(0o644)
    stack.compose(
        "--profile", "research", "up", "--detach", "--no-deps", "--scale", "worker-research=2", "worker-research"
    )
    wait_for(lambda: stack.health("worker-research") == ["healthy"] * 2, "the research workers")
    assert stack.sweep(sweep, recording) == stack.sweep(sweep, recording, "--local")
    stack.compose("--profile", "research", "rm", "--stop", "--force", "worker-research")


def test_an_upgrade_leaves_servers_running_and_a_killed_worker_is_missed(image: None):
    def started(stack: Stack) -> dict[str, tuple[str, str]]:
        services = ("redis", "nats", "ingest", "worker")
        [*found] = ((name, container) for name in services for container in stack.containers(name))
        return {name: (container["Id"], container["State"]["StartedAt"]) for name, container in found}

    with running("upgrade", *ONLY_THE_PIPELINE) as stack:
        before = started(stack)
        stack.set(IMAGE=NEXT_IMAGE)
        stack.compose("up", "--detach", *ONLY_THE_PIPELINE)
        after = started(stack)
        assert {name: after[name] == before[name] for name in before} == {
            "redis": True, "nats": True, "ingest": False, "worker": False,
        }  # fmt: skip

        def workers() -> int:
            with urllib.request.urlopen(f"http://127.0.0.1:{stack.ports['HTTP_PORT']}/ready", timeout=10) as response:
                return int(json.load(response)["workers"] or 0)

        wait_for(lambda: workers() == 1, "the new worker")
        run(["docker", "kill", stack.containers("worker")[0]["Id"]])
        wait_for(lambda: workers() == 0, "ingest to miss it")


def test_stop_ends_feed_ingest_workers_and_servers_in_this_order(image: None):
    """Ingest ends with status 0 and no work left."""
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


def test_scaling_kills_and_a_redis_restart_leave_the_digest_unchanged(image: None, recording: Path):
    """Workers are scaled and killed under load; the digest is that of the backtest."""
    with running("digest", *ONLY_THE_PIPELINE, SIGNAL_MAX_AGE_S="0") as stack:
        # On a slow machine it may end before the last of these: what is left is worked off among them all the same.
        feed = stack.start_replay(recording, "2")
        stack.compose("up", "--detach", "--no-recreate", *ONLY_THE_PIPELINE, "--scale", "worker=4")
        for index in (0, 1, 2, 3):
            stack.kill_worker(index)
        stack.compose("restart", "redis")
        stack.compose("up", "--detach", "--no-recreate", *ONLY_THE_PIPELINE, "--scale", "worker=1")
        assert len(stack.containers("worker")) == 1
        assert run(["docker", "wait", feed]).strip() == "0"
        assert stack.digest() == backtested([recording]).digest


def test_with_a_stream_a_killed_ingest_and_restarts_change_no_signal(image: None, recording: Path):
    # A bound so low that ingest is still reading when they go.
    bounds = {"INGEST_LANE_BYTES": str(2**20), "INGEST_TOTAL_BYTES": str(2**20)}
    bounds |= {"INGEST_DRAIN_S": "300", "INGEST_STOP_GRACE": "330s"}
    with running("stream", *ONLY_THE_PIPELINE, INGEST_SOURCE="jetstream", SIGNAL_MAX_AGE_S="0", **bounds) as stack:
        stack.compose("stop", "ingest")
        # All of it first: what is published while NATS is unavailable, nobody keeps.
        assert run(["docker", "wait", stack.start_replay(recording, "max")]).strip() == "0"
        stack.compose("start", "ingest")
        wait_for(lambda: committed(stack) > 500, "the first commits")
        stack.compose("kill", "ingest")
        stack.compose("restart", "nats")
        stack.compose("start", "ingest")
        wait_for(lambda: committed(stack) > 500, "commits after the kill")
        stack.compose("restart", "redis")
        wait_for(lambda: answer(stack.ports["HTTP_PORT"], "/ready") == 200, "ingest")
        assert stack.digest() == backtested([recording]).digest
