"""Entries of a queue that are no tasks of ours, and those that would have Celery do something else."""

import base64
import json
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec

from tasks.protocol.celery_codec import CONTENT_ENCODING, CONTENT_TYPE

#: A signature that makes a worker send a task.
MORE = {"task": "tasks.process", "args": ["x"], "kwargs": {}, "options": {"queue": "elsewhere"}}
NO_EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def envelope(body: Any = ((b"junk",), {}, NO_EMBED), *, name: str = "tasks.process", **more: Any) -> dict[str, Any]:
    """Return a message of Celery's as `ingest` sends it: msgpack, unless `body` is bytes already."""
    packed = body if isinstance(body, bytes) else msgspec.msgpack.encode(body)
    headers = {"task": name, "id": "odd-1", "lang": "py", "argsrepr": "", "kwargsrepr": "{}"} | more.pop("headers", {})
    made = {
        "body": base64.b64encode(packed).decode(),
        "content-encoding": CONTENT_ENCODING,
        "content-type": CONTENT_TYPE,
        "headers": headers,
        "properties": {"delivery_tag": "odd", "body_encoding": "base64", "delivery_info": {}},
    }
    return made | {key.replace("_", "-"): value for key, value in more.items()}


def embedding(**embed: Any) -> dict[str, Any]:
    """Return a message whose body has Celery do more than run the task."""
    return envelope([[b"junk"], {}, NO_EMBED | embed])


def bomb(size_bytes: int) -> dict[str, Any]:
    """Return a message that is small, and large once it is decompressed."""
    return envelope(zlib.compress(bytes(size_bytes), 9), headers={"compression": "application/x-gzip"})


def control(body: Any = (), **more: Any) -> bytes:
    """Return a message of Celery's remote control."""
    packed = body if isinstance(body, bytes) else json.dumps(body).encode()
    made = envelope(packed, content_type="application/json", content_encoding="utf-8", headers=more)
    return json.dumps(made).encode()


def control_messages() -> Iterator[bytes]:
    """Yield odd messages of Celery's remote control."""
    yield from (b"[]", b"1", b"{}", b"\xff\x00", b"[" * 200_000, json.dumps({**envelope(), "headers": None}).encode())
    yield control(zlib.compress(bytes(80_000_000), 9), compression="application/x-gzip")
    yield control([])
    yield control({})
    yield control({"method": []})
    yield control({"method": "ping", "arguments": [1], "reply_to": 1})
    yield control({"method": "ping"}, clock="late")
    yield json.dumps({**envelope(b"\x80\x04", content_type="application/x-python-serialize"), "headers": {}}).encode()


def _told() -> dict[str, Any]:
    """Return odd messages by what is odd about them."""
    return {
        "a body that is a list": envelope([]),
        "a body of JSON that is a list": envelope(b"[]", content_type="application/json", content_encoding="utf-8"),
        "application/data": envelope(b"[]", content_type="application/data"),
        "pickle": envelope(b"cos\nsystem\n(S'true'\ntR.", content_type="application/x-python-serialize"),
        "a body that is text": {**envelope(), "body": "[]"},
        "no body": {name: value for name, value in envelope().items() if name != "body"},
        "no headers": {**envelope(), "headers": None},
        "headers that are a list": {**envelope(), "headers": []},
        "no properties": {name: value for name, value in envelope().items() if name != "properties"},
        "no delivery tag": {**envelope(), "properties": {}},
        "an id that is a list": envelope(headers={"id": []}),
        "an eta": envelope(headers={"eta": "2099-01-01T00:00:00"}),
        "a time limit": envelope(headers={"timelimit": [0.001, 0.001]}),
        "a time limit that is text": envelope(headers={"timelimit": "soon"}),
        "a callback": embedding(callbacks=[MORE]),
        "an errback": embedding(errbacks=[MORE]),
        "a chain": embedding(chain=[MORE]),
        "a chord": embedding(chord=MORE),
        "a callback in the headers": envelope(headers={"callbacks": [MORE]}),
        "another task": envelope(name="somebody.elses"),
        "a task of Celery's": envelope(name="celery.backend_cleanup"),
        "a bomb": bomb(80_000_000),
        "protocol 1": {**envelope({"task": "tasks.process", "id": "1", "args": ["x"], "kwargs": {}}), "headers": {}},
    }


def entries() -> Iterator[tuple[str, bytes]]:
    """Yield odd entries, each with what is odd about it."""
    for name, message in _told().items():
        yield name, json.dumps(message).encode()
    yield "nothing", b""
    yield "no JSON", b"\xff\x00garbage"
    yield "a list", b"[]"
    yield "a number", b"1"
    yield "nested endlessly", b"[" * 200_000
    yield "large", json.dumps(envelope(bytes(6_000_000))).encode()
