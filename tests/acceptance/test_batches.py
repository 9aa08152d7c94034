"""A batch carries one event when it is quiet and hundreds when it is busy, without tuning."""

import json
from functools import partial
from pathlib import Path

import pytest
import redis

from compose.local.stack import Plan, Stack
from tasks.ledger.reader import LedgerReader
from tests.support.stacks.pipeline import applied_by, finish, replay, running
from tests.support.waiting import wait_for

pytestmark = pytest.mark.ci

PREFIX = "local:celery:celery-task-meta-"


def results(stack: Stack) -> dict[str, dict[str, int]]:
    """Return the results of all tasks by task id, as Celery stored them."""
    client = redis.Redis.from_url(stack.redis_url, decode_responses=True)
    stored = {key.removeprefix(PREFIX): json.loads(client.get(key) or "") for key in client.scan_iter(f"{PREFIX}*")}
    assert all(each["status"] == "SUCCESS" for each in stored.values())
    return {task_id: each["result"] for task_id, each in stored.items()}


def applied(reader: LedgerReader, count: int) -> bool:
    return reader.counters().of("applied") == count


def test_a_quiet_market_makes_batches_of_one_and_a_busy_one_of_hundreds(tmp_path: Path, recording: Path):
    with running(Plan(1, "solo", 1)) as stack:
        reader = LedgerReader(stack.settings)
        for number in range(1, 6):
            one = tmp_path / f"{number}.jsonl"
            one.write_text(
                '{"stream":"xusdt@trade","data":{"e":"trade","E":1700000000000,"s":"XUSDT","t":%d,"p":"1.5","q":"1",'
                '"T":1,"m":true,"M":true},"received_at":1700000000000000000}\n' % number
            )
            replay(stack, [one], "max")
            wait_for(partial(applied, reader, number))
        quiet = results(stack)
        replay(stack, [recording], "max")
        live = finish(stack)
        busy = results(stack)
    assert [result["events"] for result in quiet.values()] == [1] * 5
    sizes = sorted(result["events"] for task_id, result in busy.items() if task_id not in quiet)
    print(f"{len(sizes)} tasks, median {sizes[len(sizes) // 2]}, largest {sizes[-1]} events")
    assert sum(sizes) == applied_by([recording])
    assert 100 <= sizes[len(sizes) // 2] <= sizes[-1] <= 500
    # The ids say pool, partition, epoch and position, and how many more batches there are; the result what it came to.
    assert all(task_id.startswith(("trade-0-1.", "depth-0-1.", "basket-0-1.")) for task_id in busy)
    assert all(result.keys() == {"events", "repeats", "signals", "errors", "seconds"} for result in busy.values())
    assert live.batches == sum(1 + int(task_id.partition("+")[2] or 0) for task_id in busy)
