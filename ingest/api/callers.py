"""Who calls the API: by a token, or by the name that a trusted proxy gives. Nobody else gets in."""

import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from ingest.api.problem import ApiError
from tasks.settings import Settings
from tasks.telemetry.cross_site import is_cross_site
from tasks.telemetry.fair_slots import client_of

#: So many wrong tokens a client may send in a minute; then it waits for the rest of it.
MAX_FAILURES = 10
WINDOW_S = 60.0
#: Clients whose failures are remembered; those that failed longest ago are forgotten first.
_MAX_CLIENTS = 1_000
#: The name of who has the only token, which has none.
_ANONYMOUS = "api"
_INTERNAL_TOKEN = "X-Petrosa-Internal-Token"  # noqa: S105 the name of a header
_MAX_NAME = 100


class Caller(NamedTuple):
    """Who calls, by what was proven."""

    name: str

    def author(self, claimed: str) -> str:
        """Return who makes a change, for the history: the caller, and whom it says that it acts for."""
        claimed = " ".join(claimed.split())[:_MAX_NAME]
        return f"{claimed} via {self.name}" if claimed and claimed != self.name else self.name


class Callers:
    """Knows the tokens and the proxies, and counts who fails."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        """Take them of the settings, which have checked them."""
        words = (word.rpartition(":") for word in settings.api_token.split())
        self._names = {_digest(token): name or _ANONYMOUS for name, _, token in words}
        self._header = settings.api_identity_header
        proxies = filter(None, settings.api_trusted_proxies.split(","))
        self._proxies: list[IPv4Network | IPv6Network] = [ip_network(each) for each in proxies]
        self._clock = clock
        #: By client: failures since when.
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def identify(self, headers: Mapping[str, str], address: str, host: str) -> Caller:
        """Return who sends a request with these headers from this address. Raises ApiError: 401, 403 or 429."""
        if token := _token(headers):
            return self._by_token(token, client_of(address))
        if self._header and self._header in headers and self._is_trusted(address):
            return self._by_proxy(headers, host)
        raise _refused("no token: send `Authorization: Bearer TOKEN`")

    def _by_token(self, token: str, client: str) -> Caller:
        self._check_failures(client)
        given, found = _digest(token), ""
        # All are compared, each in constant time: how long it takes tells nothing.
        for known, name in self._names.items():
            if hmac.compare_digest(known, given):
                found = name
        if found:
            return Caller(found)
        since_s, count = self._failures.pop(client, (self._clock(), 0))
        self._failures[client] = (since_s, count + 1)
        if len(self._failures) > _MAX_CLIENTS:
            self._failures.popitem(last=False)
        raise _refused("the token is not valid")

    def _check_failures(self, client: str) -> None:
        since_s, count = self._failures.get(client, (0.0, 0))
        left_s = since_s + WINDOW_S - self._clock()
        if left_s <= 0:
            self._failures.pop(client, None)
        elif count >= MAX_FAILURES:
            again = {"Retry-After": str(int(left_s) + 1)}
            raise ApiError(429, "too many wrong tokens from this address", "too-many-failures", headers=again)

    def _by_proxy(self, headers: Mapping[str, str], host: str) -> Caller:
        # A browser sends what a proxy takes for a login with the requests of other sites too.
        if is_cross_site(headers, host):
            raise ApiError(403, "another site sent this", "cross-site")
        name = headers[self._header].strip()
        # Tornado joins headers of one name with commas: a client could add its own to the proxy's.
        if not name or "," in name or len(name) > _MAX_NAME or not name.isprintable():
            raise _refused(f"{self._header} names nobody, or several")
        return Caller(name)

    def _is_trusted(self, address: str) -> bool:
        try:
            ip = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        ip = getattr(ip, "ipv4_mapped", None) or ip
        return any(ip in network for network in self._proxies)


def _token(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    # A login to the proxy in front, which some proxies pass on, is none to the API.
    if scheme and scheme.lower() != "basic":
        if scheme.lower() != "bearer" or not token.strip():
            raise _refused("Authorization takes `Bearer TOKEN`")
        return token.strip()
    return headers.get(_INTERNAL_TOKEN, "").strip()


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="surrogateescape")).digest()


def _refused(why: str) -> ApiError:
    return ApiError(401, why, headers={"WWW-Authenticate": 'Bearer realm="realtime-strategies"'})
