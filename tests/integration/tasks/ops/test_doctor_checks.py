"""`python -m tasks doctor`, as a process, against servers that are well, unwell, silent and unavailable."""

import json
import os
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import redis

from compose.local.processes import Instance
from compose.local.servers import free_port, start_nats, start_redis
from compose.local.stack import Plan, Stack
from tasks.ledger import LedgerKeys, heartbeats
from tasks.ops.doctor_probes import ask_nats, ask_port, ask_redis
from tasks.settings import Settings
from tests.support.ledger import dump
from tests.support.service import ingest
from tests.support.starting import start
from tests.support.waiting import HANGS_S, wait_for


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Instance("doctor") as instance:
        stack = Stack(instance, Plan(workers=1, pool="solo"))
        stack.wait_until_ready()
        with redis.Redis.from_url(stack.redis_url) as client:
            wait_for(lambda: heartbeats.read(client, LedgerKeys("local")), "the worker to say that it lives")
        yield stack


def examined(environment: Mapping[str, str], **other: str) -> tuple[int, list[dict[str, Any]]]:
    """Return exit status and findings."""
    done = start(["tasks", "doctor", "--json"], os.environ | dict(environment) | other)
    assert "Traceback" not in done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def faults(findings: list[dict[str, Any]]) -> list[str]:
    return [f"{finding['what']}: {finding['says']}" for finding in findings if finding["sign"] == "fault"]


def looked_at(findings: list[dict[str, Any]]) -> set[str]:
    return {finding["what"].partition(" ")[0] for finding in findings}


def test_a_healthy_stack_has_no_fault_and_everything_was_looked_at(stack: Stack):
    status, findings = examined(stack.environment)
    assert (status, faults(findings)) == (0, [])
    assert looked_at(findings) == {
        "settings", "strategies", "Redis", "clocks", "NATS", "ingest", "queue", "configuration", "lanes", "dead",
        "workers", "feed", "port",
    }  # fmt: skip
    wanted = {finding["what"]: finding["says"] for finding in findings if finding["sign"] == "ok"}
    assert wanted["workers"].startswith("1")
    assert wanted["port (HTTP_PORT)"] == f"127.0.0.1:{stack.http_port} is ours and ready"


def test_an_unavailable_redis_is_one_fault_and_the_others_are_looked_at(stack: Stack):
    nowhere = f"redis://me:geheim@127.0.0.1:{free_port()}/0"
    status, findings = examined(stack.environment, REDIS_URL=nowhere)
    [fault] = faults(findings)
    assert status == 1
    assert "Connection refused" in fault
    assert "geheim" not in str(findings)
    assert looked_at(findings) >= {"NATS", "ingest", "port"}


def test_an_unavailable_nats_is_one_fault_and_the_others_are_looked_at(stack: Stack):
    status, findings = examined(stack.environment, NATS_URL=f"nats://127.0.0.1:{free_port()}")
    [fault] = faults(findings)
    assert status == 1
    assert fault.startswith("NATS: nats://127.0.0.1")
    assert fault.endswith("Connection refused")
    assert looked_at(findings) >= {"Redis", "queue", "lanes", "workers", "port"}


def test_a_misspelt_setting_no_worker_and_no_run_of_ingest_are_reported(stack: Stack):
    status, findings = examined(stack.environment, NAMESPACE="empty", NAMESPACES="many")
    assert "did you mean NAMESPACE?" in findings[0]["says"]
    [workers] = [finding for finding in findings if finding["name"] == "no_workers"]
    # The one that runs is another pipeline's.
    [absent] = [finding for finding in findings if finding["what"] == "ingest"]
    assert (status, absent["says"]) == (1, "does not answer on NATS")
    assert (workers["sign"], workers["says"][:10]) == ("warning", "none lives")
    [lanes] = [finding for finding in findings if finding["what"] == "lanes"]
    assert (lanes["sign"], "never ran" in lanes["says"]) == ("warning", True)


def test_a_redis_that_may_evict_is_a_fault_and_looking_changes_nothing(nats_url: str):
    """What the login may not ask is reported too; its password is not."""
    with Instance("doctor") as instance:
        _, url = start_redis(instance)
        with redis.Redis.from_url(url) as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
            client.execute_command("ACL", "SETUSER", "low", "on", ">geheim", "~*", "+@all", "-info", "-hget")
            client.lpush("rs:celery:depth", "no Celery message")
            client.xadd("rs:deadletters", {"letter": "x"})
            before = dump(client, "rs")
            servers = {"REDIS_URL": url.replace("//", "//low:geheim@"), "LEDGER_URL": url, "NATS_URL": nats_url}
            status, findings = examined(servers, NAMESPACE="rs")
            assert dump(client, "rs") == before
    assert status == 1
    told = faults(findings)
    assert any("maxmemory-policy is allkeys-lru" in fault for fault in told)
    assert any("1 of its oldest entries are no Celery messages" in finding["says"] for finding in findings)
    assert "ingest: does not answer on NATS" in told
    assert any("'info' command (NOPERM)" in finding["says"] for finding in findings)
    assert any(finding["what"] == "dead letters" and finding["says"].startswith("1, ") for finding in findings)
    assert "geheim" not in str(findings)


def test_a_missing_command_of_a_server_is_reported_and_the_rest_is_asked():
    with Instance("doctor") as instance:
        _, url = start_redis(instance, options=["--rename-command", "CONFIG", ""])
        facts = ask_redis(Settings(redis_url=url), url, ("ledger",))
    assert (facts.unavailable, facts.save) == ("", None)
    assert facts.info["redis_version"]
    [refused] = facts.refused
    assert refused.startswith("unknown command 'CONFIG'")


@pytest.mark.parametrize(
    ("said", "unwell"),
    [
        ({"ok": False, "nats": False, "redis": True, "stopping": False, "standing_by": False}, ("nats",)),
        ({"ok": False, "nats": True, "redis": True, "stopping": True, "standing_by": False}, ("stopping",)),
        ({"ok": True, "nats": True, "started": False, "standing_by": True}, ()),
    ],
)
def test_only_missing_parts_are_named_as_why_a_process_is_not_ready(said: dict[str, bool], unwell: tuple[str, ...]):
    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(HTTPStatus.OK if said["ok"] else HTTPStatus.SERVICE_UNAVAILABLE)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Ready) as server, ThreadPoolExecutor() as threads:
        answering = threads.submit(server.handle_request)
        facts = ask_port("HTTP_PORT", "127.0.0.1", server.server_port)
        answering.result(HANGS_S)
    assert (facts.held_by, facts.unwell) == ("ours", unwell)


def test_who_answers_without_end_at_our_port_is_somebody_else():
    class Endless(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            with suppress(ConnectionError):
                while True:
                    self.wfile.write(b"x" * 65_536)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Endless) as server, ThreadPoolExecutor() as threads:
        answering = threads.submit(server.handle_request)
        assert ask_port("HTTP_PORT", "127.0.0.1", server.server_port).held_by == "other"
        answering.result(HANGS_S)


def test_servers_that_hang_do_not_hold_it_up_and_get_a_line_each():
    with Instance("doctor") as instance:
        (silent_redis, redis_url), (silent_nats, nats_url) = start_redis(instance), start_nats(instance)
        for process in (silent_redis, silent_nats):
            os.kill(process.pid, signal.SIGSTOP)
        status, findings = examined({"REDIS_URL": redis_url, "NATS_URL": nats_url})
        for process in (silent_redis, silent_nats):
            os.kill(process.pid, signal.SIGCONT)
    assert status == 1
    assert [fault.partition(":")[0] for fault in faults(findings)] == ["Redis (broker, results, ledger)", "NATS"]


def test_every_shard_of_ingest_answers(nats_url: str, redis_url: str, namespace: str):
    with (
        ingest(nats_url, redis_url, namespace, INGEST_SHARD="0/2") as first,
        ingest(nats_url, redis_url, namespace, INGEST_SHARD="1/2") as second,
    ):
        first.wait_ready()
        second.wait_ready()
        wait_for(lambda: len(ask_nats(first.settings).ingest) == 2, "both to answer")
        assert [status.shard for status in ask_nats(first.settings).ingest] == [0, 1]


def test_the_ingest_of_another_pipeline_on_this_nats_is_not_asked(nats_url: str, redis_url: str, namespace: str):
    with ingest(nats_url, redis_url, namespace) as own, ingest(nats_url, redis_url, f"{namespace}-2") as other:
        own.wait_ready()
        other.wait_ready()
        for each in (own, other):
            assert [status.namespace for status in ask_nats(each.settings).ingest] == [each.settings.namespace]
