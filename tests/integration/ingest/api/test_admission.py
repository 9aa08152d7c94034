"""Who is let in, and what is refused before anything is asked: tokens, proxies, hosts, methods, sizes."""

import http.client
import json
import socket
from typing import Any

import pytest
import redis

from ingest.api.callers import MAX_FAILURES
from ingest.api.handler import MAX_BODY_BYTES, MAX_READ_BYTES
from ingest.api.routes import ROUTES
from tasks.ledger.configurations import ConfigurationStore
from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import DeadLetter
from tasks.settings import Settings
from tests.support.events import trade
from tests.support.servers.api import TOKEN, ApiCaller, serving

CONCRETE = [
    (route.method, route.path.format(strategy="iceberg", symbol="BTCUSDT", pool="depth", id="1-1", version="a"))
    for route in ROUTES
]


def raw(port: int, head: str, body: bytes = b"") -> tuple[int, Any]:
    """Send a request as it is written; return the answer's status and problem."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, json.loads(answer.read() or b"null")


@pytest.mark.parametrize(("method", "path"), CONCRETE)
def test_nobody_gets_in_without_a_token(port: int, method: str, path: str):
    answer = ApiCaller(port, "")(method, path)
    assert (answer.status, answer.json["detail"]) == (401, "no token: send `Authorization: Bearer TOKEN`")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_openapi_and_unknown_paths_need_a_token_too(port: int):
    for path in ("/openapi.json", "/nothing"):
        assert ApiCaller(port, "")("GET", path).status == 401
    assert ApiCaller(port).get("/openapi.json").json["openapi"] == "3.1.0"
    assert ApiCaller(port).get("/nothing").status == 404


@pytest.mark.parametrize(
    "authorization", ["Bearer wrong-token-of-some-length", "Bearer", "Basic YTpi", f"bearer {TOKEN}x"]
)
def test_a_wrong_token_is_refused(port: int, authorization: str):
    answer = ApiCaller(port, "")("GET", "/strategies", Authorization=authorization)
    assert (answer.status, TOKEN in json.dumps(answer.json)) == (401, False)


def test_the_token_may_come_as_petrosas_services_send_it(api: ApiCaller):
    assert api("GET", "/strategies", token="", X_Petrosa_Internal_Token=TOKEN).status == 200
    assert api("GET", "/strategies", token="", X_Petrosa_Internal_Token="x" * 20).status == 401


def test_who_sends_too_many_wrong_tokens_has_to_wait(port: int):
    wrong = ApiCaller(port, "a-wrong-token-of-20")
    assert [wrong.get("/strategies").status for _ in range(MAX_FAILURES)] == [401] * MAX_FAILURES
    answer = ApiCaller(port).get("/strategies")
    assert answer.status == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 60


def test_a_foreign_host_name_is_refused(port: int):
    head = f"GET /api/v1/strategies HTTP/1.1\nHost: evil.example\nAuthorization: Bearer {TOKEN}"
    assert raw(port, head)[0] == 403


@pytest.fixture
def proxied(settings: Settings, configured: ConfigurationStore) -> Any:
    more = {"api_identity_header": "X-Forwarded-User", "api_trusted_proxies": "127.0.0.1"}
    with serving(settings.model_copy(update=more)) as port:
        yield ApiCaller(port, "")


def test_a_trusted_proxy_names_the_caller(proxied: ApiCaller, configured: ConfigurationStore):
    assert proxied.post("/strategies/iceberg/kill", X_Forwarded_User="ann@example.com").status == 200
    assert configured.history()[-1].author == "ann@example.com"


@pytest.mark.parametrize("name", ["", " ", "ann, bob", "x" * 101])
def test_a_proxy_has_to_name_one_caller(proxied: ApiCaller, name: str):
    assert proxied("GET", "/strategies", X_Forwarded_User=name).status == 401


def test_another_site_is_refused_behind_a_proxy(proxied: ApiCaller):
    odd = ({"Sec_Fetch_Site": "cross-site"}, {"Origin": "https://evil.example"})
    assert [proxied.post("/strategies/iceberg/kill", X_Forwarded_User="ann", **each).status for each in odd] == [
        403,
        403,
    ]
    assert proxied.post("/strategies/iceberg/kill", X_Forwarded_User="ann", Sec_Fetch_Site="same-origin").status == 200


def test_an_identity_of_somebody_else_than_the_proxy_is_ignored(settings: Settings):
    more = {"api_identity_header": "X-Forwarded-User", "api_trusted_proxies": "10.0.0.0/8"}
    with serving(settings.model_copy(update=more)) as port:
        assert ApiCaller(port, "")("GET", "/strategies", X_Forwarded_User="ann").status == 401


def test_a_method_that_is_not_there_is_told_which_are(api: ApiCaller):
    answer = api("DELETE", "/configuration")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, POST, HEAD")
    assert [api(method, "/strategies/iceberg/kill").status for method in ("GET", "PUT", "PATCH", "OPTIONS")] == [
        405
    ] * 4
    assert raw(api.port, f"TRACE /api/v1/shadows HTTP/1.1\nHost: localhost\nAuthorization: Bearer {TOKEN}")[0] == 405
    assert api("HEAD", "/configuration").status == 200


def test_a_body_that_is_too_large_is_refused_however_it_is_sent(port: int):
    whole = b'{"reason": "' + b"x" * MAX_BODY_BYTES + b'"}'
    assert ApiCaller(port).post("/strategies/iceberg/kill", whole).status == 413
    head = f"POST /api/v1/strategies/iceberg/kill HTTP/1.1\nHost: localhost\nAuthorization: Bearer {TOKEN}\n"
    assert raw(port, f"{head}Content-Length: {MAX_READ_BYTES + 1}")[0] == 413
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(whole), whole)
    assert raw(port, f"{head}Transfer-Encoding: chunked", chunked)[0] == 413


def test_without_a_token_a_large_body_is_no_way_in(port: int):
    assert ApiCaller(port, "").post("/strategies/iceberg/kill", b"x" * (MAX_BODY_BYTES + 1)).status == 401


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 10_000, b"NaN"])
def test_what_is_no_json_is_refused(api: ApiCaller, body: bytes):
    answer = api.post("/strategies/iceberg/kill", body)
    assert (answer.status, answer.json["title"]) == (400, "Malformed json")


def test_other_types_than_json_are_refused(api: ApiCaller):
    form = api.post("/strategies/iceberg/kill", b"reason=x", Content_Type="application/x-www-form-urlencoded")
    assert form.status == 415
    assert api.post("/strategies/cache/refresh", b"{}").status == 400


def test_while_redis_is_unavailable_that_is_said(settings: Settings):
    with serving(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})) as port:
        for path in ("/configuration", "/dead-letters", "/states/resets"):
            answer = ApiCaller(port).get(path)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "2")


def test_while_nats_is_unavailable_a_retry_says_so(
    settings: Settings, configured: ConfigurationStore, client: redis.Redis, namespace: str
):
    letter = dead_letters.pack(DeadLetter("condemned", "", pool="trade", event=trade()))
    client.xadd(f"{namespace}:deadletters", {"letter": letter})
    with serving(settings.model_copy(update={"nats_url": "nats://127.0.0.1:1"})) as port:
        answer = ApiCaller(port).post("/dead-letters/retry", {"reason": ["condemned"]})
    assert (answer.status, answer.json["title"]) == (503, "Server unavailable")
    assert client.xlen(f"{namespace}:deadletters") == 1


def test_a_connection_serves_one_request_after_the_other(api: ApiCaller):
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=30)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    statuses = []
    for path, body in (("kill", "{}"), ("revive", '{"reason": "x"}'), ("odd", "{}"), ("kill", "{"), ("kill", "{}")):
        connection.request("POST", f"/api/v1/strategies/iceberg/{path}", body, headers)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    assert statuses == [200, 200, 404, 400, 200]


def test_a_refusal_of_redis_is_passed_on(api: ApiCaller, client: redis.Redis, namespace: str):
    client.set(f"{namespace}:deadletters", "no stream")
    answer = api.get("/dead-letters")
    assert (answer.status, "WRONGTYPE" in answer.json["detail"]) == (503, True)
