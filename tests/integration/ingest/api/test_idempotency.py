"""The same change under one Idempotency-Key is made once, and answered the same."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
import redis

from ingest.api.idempotency import KEEP_S, Answer, KeptAnswers
from ingest.api.problem import ApiError
from tasks.ledger.configurations import ConfigurationStore
from tasks.ledger.reader import LedgerReader
from tasks.settings import Settings
from tests.support.servers.api import ApiCaller
from tests.support.waiting import HANGS_S

CONFIG = "/strategies/orderbook_skew/config"


def test_the_same_request_again_gets_the_first_answer(api: ApiCaller, configured: ConfigurationStore):
    first = api.post(CONFIG, {"parameters": {"levels": 7}}, Idempotency_Key="a")
    api.post(CONFIG, {"parameters": {"levels": 8}})
    again = api.post(CONFIG, {"parameters": {"levels": 7}}, Idempotency_Key="a")
    assert (again.status, again.json, again.etag) == (200, first.json, first.etag)
    assert (first.headers["Idempotency-Replayed"], again.headers["Idempotency-Replayed"]) == (None, "true")
    assert (api.get(CONFIG).data["parameters"]["levels"], len(configured.history())) == (8, 3)


def test_another_request_under_the_same_key_is_refused(api: ApiCaller):
    api.post(CONFIG, {"parameters": {"levels": 7}}, Idempotency_Key="a")
    for path, body in ((CONFIG, {"parameters": {"levels": 8}}), (f"{CONFIG}/BTCUSDT", {"parameters": {"levels": 7}})):
        answer = api.post(path, body, Idempotency_Key="a")
        assert (answer.status, answer.json["title"]) == (422, "Key reused")


def test_callers_do_not_share_keys(api: ApiCaller, port: int):
    api.post("/strategies/iceberg/kill", Idempotency_Key="a")
    other = ApiCaller(port, "the-cios-own-token").post("/strategies/iceberg/revive", Idempotency_Key="a")
    assert (other.status, other.data["changed"]) == (200, True)


def test_what_failed_is_tried_again(api: ApiCaller, client: redis.Redis, namespace: str):
    body = {"parameters": {"levels": 7}}
    assert api.post(CONFIG, body, Idempotency_Key="a", If_Match='"old"').status == 412
    assert api.post(CONFIG, body, Idempotency_Key="a").status == 200


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "ü"])
def test_an_odd_key_is_refused(kept: KeptAnswers, key: str):
    with pytest.raises(ApiError, match="Idempotency-Key takes"):
        kept.once(key, "ann", b"", lambda: Answer(200, {}, b""))


@pytest.fixture
def reader(settings: Settings) -> LedgerReader:
    return LedgerReader(settings)


@pytest.fixture
def kept(reader: LedgerReader) -> KeptAnswers:
    return KeptAnswers(reader, keep=3)


def test_while_the_first_is_not_done_the_second_is_told_so(kept: KeptAnswers):
    begun, go_on = Event(), Event()

    def slow() -> Answer:
        begun.set()
        assert go_on.wait(HANGS_S)
        return Answer(200, {}, b"first")

    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(kept.once, "a", "ann", b"x", slow)
        assert begun.wait(HANGS_S)
        with pytest.raises(ApiError, match="is not done") as raised:
            kept.once("a", "ann", b"x", lambda: Answer(200, {}, b"second"))
        go_on.set()
        assert (raised.value.status, first.result().body) == (409, b"first")


def test_only_the_newest_answers_are_kept_for_a_day(kept: KeptAnswers, client: redis.Redis, namespace: str):
    made: list[str] = []

    def answer(key: str) -> Any:
        return kept.once(key, "ann", b"", lambda: made.append(key) or Answer(200, {}, b""))  # type: ignore[func-returns-value]

    for key in "abcd":
        answer(key)
    answer("b")
    assert made == list("abcd")
    answer("a")
    assert made == list("abcda")
    names = client.keys(f"{namespace}:api:answer:*")
    assert (len(names), client.llen(f"{namespace}:api:answers")) == (3, 3)
    assert all(KEEP_S - 60 < client.ttl(name) <= KEEP_S for name in names)


def test_what_others_wrote_under_a_key_is_no_answer(kept: KeptAnswers, client: redis.Redis, namespace: str):
    kept.once("a", "ann", b"", lambda: Answer(200, {}, b""))
    [name] = client.keys(f"{namespace}:api:answer:*")
    client.set(name, b"odd")
    with pytest.raises(ApiError, match="can't be read"):
        kept.once("a", "ann", b"", lambda: Answer(200, {}, b""))
