"""A slice as a Celery task: what it carries, and where its answer stands in Redis.

The answer is kept under the hash of what the task carries, so a task that comes twice is run once. As long as it runs,
a lease says so, which its process renews.
"""

import hashlib
from typing import Any

import msgspec

from tasks.protocol.queue_entry import MAX_RESEARCH_ENTRY_BYTES
from tasks.sweep.block import Block
from tasks.sweep.slice_run import BlockState

#: The control command that asks a worker whether it can run slices.
CONTROL_COMMAND = "research"
#: More, with what Celery adds and as base64, workers refuse.
MAX_PAYLOAD_BYTES = MAX_RESEARCH_ENTRY_BYTES // 4 * 3 - 64 * 1024
ANSWER_EXPIRES_S = 3_600
#: Once it was read: copies of the task that are still in the queue find it, as do other sweeps that try the same.
READ_EXPIRES_S = 10
#: A lease that its process does not renew for so long is gone.
LEASE_S = 3


class SliceRequest(msgspec.Struct, array_like=True):
    """What a task carries."""

    block: Block
    state: BlockState
    budget_s: float
    #: How often the slice was sent before: each try has an id of its own, which no `revoke` of another one stops.
    tries: int = 0
    #: Whether datasets that are not there are fetched from NATS' object store.
    fetch: bool = False


class SliceReply(msgspec.Struct, array_like=True):
    """What a task leaves behind: one of the two."""

    state: BlockState | None = None
    #: Why no worker can run it, in one line.
    refusal: str = ""


_encode = msgspec.msgpack.Encoder().encode
unpack_request = msgspec.msgpack.Decoder(SliceRequest).decode
unpack_reply = msgspec.msgpack.Decoder(SliceReply).decode


def pack(value: SliceRequest | SliceReply) -> bytes:
    """Return what `unpack_request` or `unpack_reply` reads."""
    return _encode(value)


def task_id(payload: bytes) -> str:
    """Return the id of the task that carries a payload: a hash of it."""
    return hashlib.sha256(payload).hexdigest()[:40]


def answer_key(celery_prefix: str, id_: str) -> str:
    """Return the key in Redis under which the answer of a task stands."""
    return f"{celery_prefix}research:{id_}"


def lease_key(celery_prefix: str, id_: str) -> str:
    """Return the key in Redis that is there while a task runs."""
    return f"{answer_key(celery_prefix, id_)}:runs"


def description(request: SliceRequest) -> str:
    """Return what Flower shows instead of the payload."""
    part, state = request.block.part, request.state
    market = f"{part.venue} {part.symbol} of {part.recording}"
    return f"{request.block.strategy}: {len(request.block.units)} sets, {market}, from event {state.events}"


def summary(request: SliceRequest, reply: SliceReply) -> dict[str, Any]:
    """Return the task's result, for Flower: what was done, in numbers; why nothing was."""
    events = reply.state.events - request.state.events if reply.state else 0
    said = {"strategy": request.block.strategy, "events": events, "sets": len(request.block.units)}
    return {**said, "refusal": reply.refusal} if reply.refusal else said
