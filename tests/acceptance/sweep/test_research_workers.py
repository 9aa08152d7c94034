"""Workers that take tasks of the queue `research`: their rights, their niceness, and what strangers send them."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compose.local.processes import Instance
from tests.support.servers.guarded_servers import RIGHTS
from tests.support.stacks.sweeping import Sweeps, children
from tests.support.waiting import wait_for

pytestmark = pytest.mark.ci

SMALL = "[sweep.trade_momentum]\ngate.min_confidence = [0.1, 0.5]\n"
#: What is no slice, as the arguments of the task.
GARBAGE = """
from tasks.celery import app
for arguments in ((b"garbage",), ("text",), (1,), (None,), (), (b"", b""), ({"a": 1},), (b"\\x95" * 5,)):
    app.send_task("tasks.research", args=arguments, queue="research", ignore_result=True)
app.send_task("tasks.nothing", queue="research", ignore_result=True)
app.send_task("tasks.process", args=(b"garbage",), queue="research", ignore_result=True)
"""


@pytest.fixture
def sweeps(tmp_path: Path) -> Iterator[Sweeps]:
    with Instance("sweeps") as instance:
        yield Sweeps(instance, tmp_path, SMALL, namespace="rs")


def niceness(pids: list[int]) -> set[int]:
    return {os.getpriority(os.PRIO_PROCESS, pid) for pid in pids}


def test_a_worker_of_sweeps_alone_gives_way_to_every_other_process(sweeps: Sweeps):
    with sweeps.workers(1) as (alone,), sweeps.workers(1, queues="trade,research", name="both") as (both,):
        before = os.getpriority(os.PRIO_PROCESS, 0)
        wait_for(lambda: niceness(children(alone)) == {19}, "the children to be nice")
        assert niceness(children(both)) == {before}


def test_what_is_no_slice_is_counted_and_harms_no_worker(sweeps: Sweeps):
    expected: Any = sweeps.rows("--local", "--jobs", "1")
    with sweeps.workers(1) as (worker,):
        before = children(worker)
        sweeps.python(GARBAGE)
        wait_for(lambda: not sweeps.client.llen("rs:celery:research"), "the queue to be empty")
        assert sweeps.rows() == expected
        assert children(worker) == before
        assert sweeps.metric(worker, "worker_foreign_tasks_total") >= 6
    assert not [key for key in sweeps.client.keys("rs:celery:research:*") if b":runs" in key], "nothing is left"


def test_workers_and_commands_need_the_rights_that_the_docs_name(sweeps: Sweeps):
    expected: Any = sweeps.rows("--local", "--jobs", "1")
    url = sweeps.environment["REDIS_URL"]
    for role in ("worker", "research"):
        # As in a file of users; without a password, the test has no need of one.
        sweeps.client.execute_command("ACL", "SETUSER", f"rs-{role}", "on", ">secret", *RIGHTS[role])  # type: ignore[no-untyped-call]  # redis-py's gap
    worker, command = (url.replace("//", f"//rs-{role}:secret@") for role in ("worker", "research"))
    with sweeps.workers(1, REDIS_URL=worker):
        done = sweeps.run(REDIS_URL=command)
        assert "on 1 worker with 2 processes" in done.stderr
        assert json.loads(done.stdout)["rows"] == expected
    assert sweeps.client.acl_log() == []
