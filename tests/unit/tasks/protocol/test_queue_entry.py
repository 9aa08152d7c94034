"""Which entries of a queue a worker may take."""

import json
from typing import Any

import msgspec
import pytest
from kombu import Connection

from ingest.dispatch.celery_publisher import OutgoingTask, message
from tasks.protocol.batches import pack_event
from tasks.protocol.queue_entry import MAX_ENTRY_BYTES, RefusedEntry, admitted
from tests.fuzz.samples import BATCH
from tests.support.workers import odd_entries
from tests.support.workers.odd_entries import envelope

TRACE = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "a=b"}
SENT: Any = msgspec.structs.replace(BATCH, events=tuple(map(pack_event, BATCH.events)))  # type: ignore[arg-type]


def fault(queue: str, raw: bytes) -> str:
    entry = admitted(queue, raw)
    return entry.why if isinstance(entry, RefusedEntry) else ""


def packed(**more: Any) -> bytes:
    return json.dumps(envelope(**more)).encode()


@pytest.mark.parametrize("headers", [{}, TRACE], ids=["plain", "traced"])
def test_what_ingest_sends_is_taken(headers: dict[str, str]):
    assert fault("trade", message(OutgoingTask([SENT], "1 batch", headers), "ingest@here")) == ""


def test_a_task_that_a_worker_gave_back_at_its_end_is_taken():
    sent = message(OutgoingTask([SENT], "1 batch", {}), "ingest@here")
    with Connection("memory://") as connection, connection.SimpleQueue("trade") as queue:
        channel: Any = queue.channel
        channel._put("trade", json.loads(sent))
        channel.basic_get("trade").reject(requeue=True)
        given_back = json.dumps(channel._get("trade")).encode()
    assert b"redelivered" in given_back
    assert fault("trade", given_back) == ""
    # As Redis's transport says it of what a lost worker had.
    marked = json.loads(sent)
    marked["headers"]["redelivered"] = marked["properties"]["delivery_info"]["redelivered"] = True
    assert fault("trade", json.dumps(marked).encode()) == ""


@pytest.mark.parametrize(("name", "entry"), list(odd_entries.entries()))
def test_what_is_no_task_of_ours_is_refused_in_one_line(name: str, entry: bytes):
    for queue in ("trade", "research"):
        why = fault(queue, entry)
        assert why, name
        assert len(why.splitlines()) == 1
        assert len(why) <= 300


def test_each_queue_takes_tasks_of_its_own_kind_only():
    batch, slice_ = packed(), packed(name="tasks.research")
    assert (fault("trade", batch), fault("research", slice_)) == ("", "")
    assert "does not belong into the queue" in fault("research", batch)
    assert "does not belong into the queue" in fault("trade", slice_)


CHORD = {"task": "celery.accumulate", "args": [], "kwargs": {}, "options": {"queue": "research", "task_id": "1"}}
EMBED = odd_entries.NO_EMBED | {"chord": CHORD}


def test_slices_may_be_gathered_by_a_chord_and_batches_may_not():
    assert fault("research", packed(body=[[b""], {}, EMBED], name="tasks.research", headers={"group": "1"})) == ""
    assert "has a chord" in fault("trade", packed(body=[[b""], {}, EMBED]))
    assert fault("research", packed(body=[[[1], [2]], {}, odd_entries.NO_EMBED], name="celery.accumulate")) == ""


@pytest.mark.parametrize(
    "chord",
    [
        CHORD | {"task": "tasks.process"},
        CHORD | {"options": {"queue": "trade", "task_id": "1"}},
        CHORD | {"options": {"queue": "research", "task_id": "1", "link": [odd_entries.MORE]}},
        CHORD | {"options": {"queue": "research", "task_id": "1", "serializer": "pickle"}},
    ],
    ids=["of another task", "into another queue", "with a callback", "in another content type"],
)
def test_a_chord_that_does_more_than_gather_is_refused(chord: dict[str, object]):
    body = [[b""], {}, odd_entries.NO_EMBED | {"chord": chord}]
    assert fault("research", packed(body=body, name="tasks.research"))


def test_the_size_is_looked_at_before_anything_is_decoded():
    assert fault("trade", b"[" * (MAX_ENTRY_BYTES + 1)) == f"larger than {MAX_ENTRY_BYTES} bytes: {MAX_ENTRY_BYTES + 1}"


def test_what_was_not_looked_at_does_not_reach_celery():
    """Nor what its reader of JSON could not read."""
    entry = envelope()
    entry["properties"]["more"] = "here"
    taken = admitted("trade", json.dumps(entry).encode().replace(b"here", b"\xff"))
    assert isinstance(taken, bytes)
    assert "more" not in json.loads(taken)["properties"]
