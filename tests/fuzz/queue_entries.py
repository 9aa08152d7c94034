"""Entries of a queue, and messages of Celery's remote control, as nobody means to send them."""

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from tests.support.workers import odd_entries
from tests.support.workers.odd_entries import MORE, NO_EMBED, control, embedding, envelope

VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, 1e308, "", "x", "\x1b[2J", "é" * 500, [], [[]], [None] * 50, {}, {"__type__": "datetime", "__value__": 1},
    MORE, [MORE], {"task": 1}, "tasks.process", "tasks.research", "celery.chord_unlock", "application/data", "application/json",
    "application/x-python-serialize", "application/x-gzip", "binary", "base64", "9" * 2_000,
)  # fmt: skip
#: Names that Celery and kombu look for.
NAMES = (
    "task", "id", "args", "kwargs", "eta", "expires", "retries", "timelimit", "group", "chord", "chain", "callbacks",
    "errbacks", "compression", "root_id", "parent_id", "shadow", "ignore_result", "stamps", "stamped_headers", "utc",
    "delivery_tag", "delivery_info", "body_encoding", "body", "headers", "properties", "content-type",
    "content-encoding", "reply_to", "routing_key", "exchange", "method", "arguments", "destination", "redelivered",
)  # fmt: skip


class Mutator:
    """Odd entries, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._whole = [entry for _, entry in odd_entries.entries() if len(entry) < 100_000]

    def entries(self, count: int) -> list[bytes]:
        """Return so many entries of a queue; none is a batch."""
        return [self._entry() for _ in range(count)]

    def controls(self, count: int) -> list[bytes]:
        """Return so many messages of the remote control; none is a command that a worker obeys."""
        return [self._control() for _ in range(count)]

    def _entry(self) -> bytes:
        made = self._random.choice([self._message, self._message, self._damaged, self._random_payload])
        return made()

    def _control(self) -> bytes:
        if self._random.random() < 0.3:
            return self._damage(control({"method": "ping"}))
        return json.dumps(self._twisted(json.loads(control({"method": "ping", "arguments": {}})))).encode()

    def _random_payload(self) -> bytes:
        """Return a message that Celery takes, with a payload that is none."""
        return json.dumps(envelope([[self._random.randbytes(self._random.randrange(300))], {}, NO_EMBED])).encode()

    def _message(self) -> bytes:
        embed = {self._random.choice(NAMES): self._random.choice(VALUES[:12])}
        whole = self._random.choice([envelope(), embedding(**embed), envelope(self._random.choice(VALUES[:12]))])
        return json.dumps(self._twisted(whole)).encode()

    def _damaged(self) -> bytes:
        return self._damage(self._random.choice(self._whole))

    def _damage(self, raw: bytes) -> bytes:
        for _ in range(self._random.randint(1, 4)):
            at = self._random.randrange(len(raw) + 1)
            end = min(len(raw), at + self._random.randrange(9))
            raw = raw[:at] + self._random.randbytes(self._random.randrange(4)) + raw[end:]
        return raw

    def _twisted(self, whole: dict[str, Any]) -> dict[str, Any]:
        """Replace, add or remove some values anywhere in a message."""
        for _ in range(self._random.randint(1, 3)):
            inner = self._random.choice(list(_tables(whole)))
            name = self._random.choice([*inner, *NAMES])
            if self._random.random() < 0.2:
                inner.pop(name, None)
            else:
                inner[name] = deepcopy(self._random.choice(VALUES))
        return whole


def _tables(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield whole
    for value in whole.values():
        if isinstance(value, dict):
            yield from _tables(value)
