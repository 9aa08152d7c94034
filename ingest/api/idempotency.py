"""The first answer to a change under an Idempotency-Key, kept for a day: the same request again gets it again.

api:answer:HASH  string  JSON: hash of the request and, once there is one, its answer
api:answers      list    the hashes, newest first; the oldest go when there are too many
"""

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec

from ingest.api.problem import RETRY, ApiError
from tasks.errors import UNREADABLE
from tasks.ledger.reader import LedgerReader

KEEP_S = 86_400
KEEP = 1_000
#: A request that never ended is forgotten after so long.
PENDING_S = 60
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class Answer(msgspec.Struct, frozen=True):
    """An answer as it is sent."""

    status: int
    headers: dict[str, str]
    body: bytes


class _KeptAnswer(msgspec.Struct, frozen=True):
    request: str
    answer: Answer | None = None


_decode = msgspec.json.Decoder(_KeptAnswer).decode


class KeptAnswers:
    """The answers in Redis."""

    def __init__(self, reader: LedgerReader, keep: int = KEEP) -> None:
        """Keep about the newest `keep`."""
        self._redis: Any = reader.client
        self._prefix, self._list = f"{reader.keys.namespace}:api:answer:", f"{reader.keys.namespace}:api:answers"
        self._keep = keep

    def once(self, key: str, caller: str, request: bytes, answer: Callable[[], Answer]) -> Answer:
        """Return the answer that was given first, or make it. Only what succeeded is kept: what failed is tried again.

        `request` is all that makes requests differ. Raises ApiError: the key is odd, was used for another request, or
        its first request is not done.
        """
        if not _KEY.fullmatch(key):
            raise ApiError(400, "Idempotency-Key takes 1 to 255 visible ASCII characters", "invalid-request")
        name, hashed = sha256(f"{caller}\n{key}".encode()).hexdigest(), sha256(request).hexdigest()
        stored = self._claim(name, hashed)
        if stored is not None:
            return self._replayed(stored, hashed)
        try:
            made = answer()
        except BaseException:
            self._redis.delete(self._prefix + name)
            raise
        self._redis.set(self._prefix + name, msgspec.json.encode(_KeptAnswer(hashed, made)), ex=KEEP_S)
        return made

    def _claim(self, name: str, hashed: str) -> bytes | None:
        """Claim a key for this request; return what is stored under it already, if anything."""
        packed = msgspec.json.encode(_KeptAnswer(hashed))
        stored: bytes | None = self._redis.set(self._prefix + name, packed, nx=True, get=True, ex=PENDING_S)
        if stored is None and self._redis.lpush(self._list, name) > self._keep:
            oldest: bytes | None = self._redis.rpop(self._list)
            if oldest:
                self._redis.delete(self._prefix + oldest.decode())
        return stored

    @staticmethod
    def _replayed(stored: bytes, hashed: str) -> Answer:
        try:
            first = _decode(stored)
        except UNREADABLE:
            raise ApiError(409, "what is kept under this Idempotency-Key can't be read; take another") from None
        if first.request != hashed:
            raise ApiError(422, "this Idempotency-Key was used for another request", "key-reused")
        if first.answer is None:
            raise ApiError(409, "the first request with this Idempotency-Key is not done", "in-progress", headers=RETRY)
        headers = first.answer.headers | {"Idempotency-Replayed": "true"}
        return Answer(first.answer.status, headers, first.answer.body)
