"""What an entry of a queue may be: a Celery message of this project and nothing else. Pure.

Anybody who can write to the broker can put anything there, and Celery obeys much: it decompresses, waits for an eta,
calls back, continues chains, and counts chords, each of which makes a worker send whatever it is told. What is not
needed is refused before Celery sees it.
"""

from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from tasks.protocol.celery_codec import CONTENT_ENCODING, CONTENT_TYPE
from tasks.protocol.task_name import RESEARCH_QUEUE, RESEARCH_TASK_NAME, TASK_NAME

#: A task carries 2 MiB at most, a third more as base64.
MAX_ENTRY_BYTES = 4 * 1024 * 1024
#: A slice carries the states of up to 40 parameter sets.
MAX_RESEARCH_ENTRY_BYTES = 16 * 1024 * 1024
#: Celery's own task that gathers the results of a chord: it returns what it is given.
_GATHER = "celery.accumulate"
_TASKS = {RESEARCH_QUEUE: frozenset({RESEARCH_TASK_NAME, _GATHER})}
#: Names and descriptions, which are logged.
_Text = Annotated[str, msgspec.Meta(max_length=4_096)]
_ERRORS = (msgspec.MsgspecError, ValueError, TypeError, RecursionError)


class RefusedEntry(NamedTuple):
    """An entry that was refused."""

    queue: str
    why: str
    raw: bytes


class _Headers(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Celery's headers. Of those that change what a worker does only the value that changes nothing is taken."""

    task: _Text
    id: _Text
    lang: _Text | None = None
    root_id: _Text | None = None
    parent_id: _Text | None = None
    shadow: None = None
    eta: None = None
    expires: None = None
    retries: Literal[0] = 0
    timelimit: tuple[None, None] | None = None
    group: _Text | None = None
    group_index: int | None = None
    argsrepr: _Text | None = None
    kwargsrepr: _Text | None = None
    origin: _Text | None = None
    ignore_result: bool | None = None
    replaced_task_nesting: Literal[0] = 0
    stamped_headers: tuple[()] | None = None
    stamps: dict[str, None] | None = None
    redelivered: bool | None = None
    traceparent: _Text | None = None
    tracestate: _Text | None = None


class _DeliveryInfo(msgspec.Struct, frozen=True):
    exchange: _Text = ""
    routing_key: _Text = ""


class _Properties(msgspec.Struct):
    delivery_tag: _Text
    body_encoding: Literal["base64"]
    delivery_info: _DeliveryInfo = _DeliveryInfo()
    correlation_id: _Text | None = None
    reply_to: _Text | None = None


class _Envelope(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, rename="kebab"):
    """Kombu's envelope."""

    #: Base64 where it is read and written.
    body: bytes
    content_type: str
    content_encoding: str
    headers: _Headers
    properties: _Properties
    #: A worker that ended had taken it, and gave it back.
    redelivered: bool = False


class _ChordOptions(msgspec.Struct, forbid_unknown_fields=True):
    queue: Literal["research"]
    task_id: str
    reply_to: str | None = None
    root_id: str | None = None
    parent_id: str | None = None
    group_id: str | None = None
    group_index: int | None = None


class _Chord(msgspec.Struct, forbid_unknown_fields=True):
    """What follows a chord of slices: their results are gathered, in the same queue."""

    task: Literal["celery.accumulate"]
    options: _ChordOptions
    args: tuple[()] = ()
    kwargs: dict[str, int] = {}
    subtask_type: None = None
    immutable: bool = False
    chord_size: int | None = None


class _Embed(msgspec.Struct, forbid_unknown_fields=True):
    callbacks: tuple[()] | None = None
    errbacks: tuple[()] | None = None
    chain: tuple[()] | None = None
    chord: _Chord | None = None


class _Body(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Arguments of a task of ours, and Celery's options: each takes a payload."""

    args: tuple[bytes]
    kwargs: dict[str, None]
    embed: _Embed


class _GatherBody(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    args: tuple[Any, ...]
    kwargs: dict[str, int]
    embed: _Embed


_envelope = msgspec.json.Decoder(_Envelope).decode
_body = msgspec.msgpack.Decoder(_Body).decode
_gather_body = msgspec.msgpack.Decoder(_GatherBody).decode


def admitted(queue: str, raw: bytes) -> bytes | RefusedEntry:
    """Return an entry of a queue as a worker may take it, or why it may not, in one line.

    What is taken is written again, without what was not looked at: Celery's reader of JSON takes other things than ours.
    """
    limit = MAX_RESEARCH_ENTRY_BYTES if queue == RESEARCH_QUEUE else MAX_ENTRY_BYTES
    if len(raw) > limit:
        return RefusedEntry(queue, f"larger than {limit} bytes: {len(raw)}", raw)
    try:
        envelope = _envelope(raw)
        why = _fault(queue, envelope)
    except _ERRORS as error:
        # It may quote any character that splits lines.
        why = " ".join(f"not a message of ours: {type(error).__name__}: {error}".split())[:300]
    return RefusedEntry(queue, why, raw) if why else msgspec.json.encode(envelope)


def _fault(queue: str, envelope: _Envelope) -> str:
    """Return why a message is refused. Raises one of `_ERRORS`: for what the error says."""
    task = envelope.headers.task
    if task not in _TASKS.get(queue, {TASK_NAME}):
        return f"the task {task[:100]!r} does not belong into the queue {queue}"
    encoded = (envelope.content_type, envelope.content_encoding)
    if encoded != (CONTENT_TYPE, CONTENT_ENCODING):
        return (
            f"the content type {encoded[0][:100]!r} ({encoded[1][:100]!r}) is not {CONTENT_TYPE} ({CONTENT_ENCODING})"
        )
    embed = _gather_body(envelope.body).embed if task == _GATHER else _body(envelope.body).embed
    if embed.chord and task != RESEARCH_TASK_NAME:
        return f"the task {task} has a chord"
    return ""
