"""The one parser of NATS_URL: servers, and the login that stands with them, its percent signs decoded. Pure.

nats://USER:PASSWORD@one:4222,nats://two:4222       tls:// is the same over TLS, TOKEN@ a login without a user
wss://one:443,wss://two:443                         over websockets; ws:// is the same without TLS
"""

from typing import NamedTuple, Self
from urllib.parse import SplitResult, unquote, urlsplit

from tasks.settings.redis_url import no_address

_WEBSOCKETS = frozenset({"ws", "wss"})
_SCHEMES = ("nats", "tls", "ws", "wss")


class NatsAddress(NamedTuple):
    """Address and login of a NATS server."""

    #: Without logins, each as nats-py takes it.
    servers: tuple[str, ...]
    #: Options of nats-py: user and password, or token, or nothing.
    login: dict[str, str]

    @classmethod
    def parse(cls, urls: str) -> Self:
        """Return what `urls`, with commas between, say. Raises ValueError, whose text never holds the login."""
        parts = [_split(url.strip()) for url in urls.split(",")]
        kinds = {part.scheme in _WEBSOCKETS for part in parts}
        if len(kinds) > 1:
            raise ValueError("ws:// and wss:// stand together, or nats:// and tls:// do: a client supports one kind")
        logins = {_login(part) for part in parts} - {()}
        if len(logins) > 1:
            raise ValueError("servers of one NATS take one login: give it once")
        return cls(tuple(map(_server, parts)), dict(next(iter(logins), ())))

    @property
    def over_websockets(self) -> bool:
        """Whether aiohttp is needed."""
        return self.servers[0].startswith(("ws://", "wss://"))


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url if "://" in url else f"nats://{url}")
        # Only asking for the port looks at it.
        usable = parts.port != 0 and parts.scheme in _SCHEMES and bool(parts.hostname)
    except ValueError:
        usable = False
    # An @ further on was to end a password that holds one of the signs that end a host.
    if not usable or "@" in parts.path + parts.query + parts.fragment:
        raise ValueError(no_address(*_SCHEMES))
    return parts


def _login(part: SplitResult) -> tuple[tuple[str, str], ...]:
    if part.username is None:
        return ()
    if part.password is None:
        return (("token", unquote(part.username)),)
    return ("user", unquote(part.username)), ("password", unquote(part.password))


def _server(part: SplitResult) -> str:
    port = "" if part.port or part.scheme in _WEBSOCKETS else ":4222"
    return part._replace(netloc=part.netloc.rpartition("@")[2].removesuffix(":") + port).geturl()
