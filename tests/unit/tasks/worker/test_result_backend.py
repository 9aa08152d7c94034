"""How results are stored; the client is a stand-in that remembers."""

import json
from typing import Any, Self

import msgspec
import pytest
from celery import Celery, states
from celery.backends.redis import RedisBackend
from celery.utils.saferepr import saferepr

from tasks.worker.result_backend import OneTripRedis
from tasks.worker.runner import TaskSummary

RESULT = {"events": 3, "seconds": 0.01}
KEY = b"celery-task-meta-trade-0-1.aa-9"


class Client:
    """Redis, with at most one result in it."""

    def __init__(self, stored: bytes | None = None) -> None:
        self.stored = stored
        #: What went over the line, one entry for each round trip.
        self.trips: list[list[tuple[Any, ...]]] = []
        self._piped: list[tuple[Any, ...]] = []

    def get(self, key: bytes) -> bytes | None:
        self.trips.append([("get", key)])
        return self.stored

    def pipeline(self, **_: object) -> "Client":
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def set(self, key: bytes, value: str, ex: int) -> None:
        self._piped.append(("set", key, value, ex))

    def setex(self, key: bytes, ex: int, value: str) -> None:
        self.set(key, value, ex)

    def publish(self, key: bytes, value: str) -> None:
        self._piped.append(("publish", key, value))

    def execute(self) -> None:
        self.trips.append(self._piped)
        self._piped = []


def store(kind: type[RedisBackend], client: Client, state: str, result: object = RESULT) -> Client:
    app = Celery(set_as_current=False)
    app.conf.update(result_expires=3600, result_serializer="json")
    backend: Any = kind(app=app, url="redis://127.0.0.1:1/0")
    backend.__dict__["client"] = client
    backend.store_result("trade-0-1.aa-9", result, state)
    return client


def said(client: Client) -> dict[str, Any]:
    [(_, key, value, expires_s), published] = client.trips[-1]
    assert (key, expires_s, published) == (KEY, 3600, ("publish", KEY, value))
    stored: dict[str, Any] = json.loads(value)
    return stored | {"date_done": ""}


def test_a_success_takes_one_round_trip_and_is_stored_as_celery_would():
    ours, theirs = (store(kind, Client(), states.SUCCESS) for kind in (OneTripRedis, RedisBackend))
    assert said(ours) == said(theirs)
    assert said(ours)["result"] == RESULT
    assert (len(ours.trips), len(theirs.trips)) == (1, 2)


@pytest.mark.parametrize(("stored", "trips"), [(None, 2), (b'{"status":"SUCCESS"}', 1)])
def test_a_failure_looks_first_and_never_takes_the_place_of_a_success(stored: bytes | None, trips: int):
    client = store(OneTripRedis, Client(stored), states.FAILURE, ValueError("thirteen"))
    assert len(client.trips) == trips
    assert client.trips[0] == [("get", KEY)]


@pytest.mark.parametrize(
    ("summary", "words"),
    [
        (TaskSummary(1, 0, 0, 0, 0.01), "1 event, 0 signals"),
        (TaskSummary(1_200, 3, 1, 2, 0.5), "1,200 events, 1 signal, 3 repeats, 2 errors"),
    ],
)
def test_flower_shows_a_result_in_words_and_the_store_keeps_its_fields(summary: TaskSummary, words: str):
    assert saferepr(summary, 1024) == words
    stored = store(OneTripRedis, Client(), states.SUCCESS, summary).trips[0][0][2]
    assert json.loads(stored)["result"] == msgspec.to_builtins(summary)
    assert json.loads(stored)["result"].keys() == {"events", "repeats", "signals", "errors", "seconds"}
