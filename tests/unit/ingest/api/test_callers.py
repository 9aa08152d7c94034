"""Who is let in: tokens, proxies, and how often somebody may fail."""

import pytest

from ingest.api.callers import _MAX_CLIENTS, MAX_FAILURES, WINDOW_S, Caller, Callers
from ingest.api.problem import ApiError
from tasks.settings import Settings

TOKEN = "a-token-of-some-length"  # noqa: S105 of tests


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def status(callers: Callers, headers: dict[str, str], address: str = "10.0.0.1") -> int:
    try:
        callers.identify(headers, address, "localhost")
    except ApiError as error:
        return error.status
    return 200


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("setting", "token", "name"),
    [(TOKEN, TOKEN, "api"), (f"a:{TOKEN} b@c:{TOKEN}x", f"{TOKEN}x", "b@c"), (f"a:{TOKEN}==", f"{TOKEN}==", "a")],
)
def test_a_token_tells_who_calls(setting: str, token: str, name: str):
    callers = Callers(Settings(api_token=setting))
    assert callers.identify(bearer(token), "10.0.0.1", "localhost") == Caller(name)


def test_a_login_that_a_proxy_passes_on_is_no_token_and_in_nobodys_way():
    login = {"Authorization": "Basic YW5uOnB3"}
    callers = Callers(Settings(api_token=TOKEN, api_identity_header="X-User", api_trusted_proxies="10.0.0.0/8"))
    assert callers.identify(login | {"X-User": "ann"}, "10.0.0.1", "localhost") == Caller("ann")
    assert callers.identify(login | {"X-Petrosa-Internal-Token": TOKEN}, "1.1.1.1", "localhost") == Caller("api")
    assert status(callers, login) == status(callers, {"Authorization": "Digest x"}) == 401


def test_failures_are_counted_by_client_and_for_a_minute():
    clock = Clock()
    callers = Callers(Settings(api_token=TOKEN), clock)
    assert [status(callers, bearer("wrong")) for _ in range(MAX_FAILURES)] == [401] * MAX_FAILURES
    assert (status(callers, bearer(TOKEN)), status(callers, bearer(TOKEN), "10.0.0.2")) == (429, 200)
    clock.now_s = WINDOW_S
    assert status(callers, bearer(TOKEN)) == 200


def test_who_has_no_token_at_all_is_not_counted():
    callers = Callers(Settings(api_token=TOKEN), Clock())
    assert {status(callers, {}) for _ in range(2 * MAX_FAILURES)} == {401}
    assert status(callers, bearer(TOKEN)) == 200


def test_the_failures_of_so_many_clients_only_are_remembered():
    callers = Callers(Settings(api_token=TOKEN), Clock())
    for number in range(_MAX_CLIENTS + 10):
        status(callers, bearer("wrong"), f"10.0.{number // 256}.{number % 256}")
    assert len(callers._failures) == _MAX_CLIENTS


@pytest.mark.parametrize(
    ("address", "status_then"),
    [("10.1.2.3", 200), ("::ffff:10.1.2.3", 200), ("fd00::1%eth0", 200), ("10.2.0.1", 401), ("", 401), ("odd", 401)],
)
def test_only_a_trusted_proxy_is_believed(address: str, status_then: int):
    settings = Settings(api_identity_header="X-User", api_trusted_proxies="10.1.0.0/16, fd00::/8")
    assert status(Callers(settings), {"X-User": "ann"}, address) == status_then


def test_a_wrong_token_is_not_made_good_by_a_proxy():
    settings = Settings(api_token=TOKEN, api_identity_header="X-User", api_trusted_proxies="10.0.0.0/8")
    assert status(Callers(settings), {"X-User": "ann", **bearer("wrong")}) == 401
    assert status(Callers(settings), {"X-User": "ann", **bearer(TOKEN)}) == 200


@pytest.mark.parametrize(
    ("claimed", "author"),
    [
        ("", "api"),
        ("api", "api"),
        ("ann", "ann via api"),
        (" ann\n b\x00 ", "ann b\x00 via api"),
        ("x" * 200, "x" * 100 + " via api"),
    ],
)
def test_whom_a_caller_acts_for_is_told_beside_its_name(claimed: str, author: str):
    assert Caller("api").author(claimed) == author
