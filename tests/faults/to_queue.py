"""Faults of the queue: tasks dropped, doubled, reordered, late; things in it that are no tasks of ours."""

import base64
import json
from collections import deque
from collections.abc import Iterator

from tests.faults.rig import Setup
from tests.faults.run import Case, FaultRun

#: Does one thing to a list of tasks. Returns a task that is or was in it, or nothing where there is none.
TAMPER = """
local tasks = redis.call('LRANGE', KEYS[1], 0, -1)
if #tasks == 0 then return false end
if ARGV[1] == 'drop' then redis.call('RPOP', KEYS[1]) end
if ARGV[1] == 'double' then redis.call('LPUSH', KEYS[1], tasks[#tasks]) end
if ARGV[1] == 'turn' then
  redis.call('DEL', KEYS[1])
  redis.call('LPUSH', KEYS[1], unpack(tasks))
end
return tasks[#tasks]
"""
#: Tasks that are put into the queue once more, much later.
OLD = 50


def tampered(run: FaultRun) -> Iterator[float]:
    tamper = run.redis.register_script(TAMPER)
    seen: deque[bytes] = deque(maxlen=OLD)
    while run.feeding:
        for _ in range(10):
            key = f"{run.stack.settings.celery_prefix}{run.dice.choice(('depth', 'trade', 'basket'))}"
            task = tamper(keys=[key], args=[run.dice.choice(("drop", "double", "turn"))])
            if task:
                seen.append(task)
                run.hit()
        if len(seen) == OLD:
            run.redis.lpush(key, seen[0])
        yield 0.0


def _task(name: str, arguments: object) -> bytes:
    body = base64.b64encode(json.dumps([arguments, {}, {}]).encode()).decode()
    properties = {
        "correlation_id": "junk",
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": "trade"},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": "junk",
    }
    headers = {"lang": "py", "task": name, "id": "junk", "root_id": "junk", "retries": 0}
    kind = {"content-type": "application/json", "content-encoding": "utf-8"}
    return json.dumps({"body": body, "headers": headers, "properties": properties, **kind}).encode()


def junk(run: FaultRun) -> Iterator[float]:
    for entry in JUNK:
        run.redis.lpush(f"{run.stack.settings.celery_prefix}trade", entry)
        run.hit()
        yield 1.5


JUNK = (
    b"\x00\xff\x80",
    b"{}",
    b"[1, 2",
    _task("somebody.else", []),
    _task("tasks.process", ["no batch"]),
    _task("tasks.process", "no arguments"),
)
CASES = (
    Case("tasks dropped, doubled, reordered, late", tampered, Setup(workers=1)),
    Case("junk in the queue", junk),
)
