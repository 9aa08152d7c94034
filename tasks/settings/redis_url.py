"""The one parser of a Redis URL: it means the same to redis-py, Celery, Flower and us. Pure.

    redis://USER:PASSWORD@HOST:6379/0       rediss:// is the same over TLS
    unix://USER:PASSWORD@/run/redis.sock?db=0
    sentinel://:PASSWORD@one:26379/0;sentinel://two:26379;sentinel://three:26379

Behind Sentinels, user, password and database are the master's; `sentinels://` is the same over TLS, to Sentinels and
servers alike. Libraries read options of a URL each in its own way: so all but `db` are refused, and no library is given
a URL that was not written here.
"""

from typing import Any, Literal, NamedTuple, Self, get_args
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

Scheme = Literal["redis", "rediss", "unix", "sentinel", "sentinels"]

_PORTS = {"redis": 6_379, "rediss": 6_379, "sentinel": 26_379, "sentinels": 26_379}
_SENTINELS = frozenset({"sentinel", "sentinels"})

_NO_ADDRESS = "not an address with {}; in a password, signs such as / @ : , are written as %2F %40 %3A %2C"
_NO_OPTION = (
    "takes no option {}: timeouts and the protocol are the same for everybody here, "
    "TLS has the settings REDIS_TLS_CA, REDIS_TLS_CERT and REDIS_TLS_KEY"
)


def no_address(*schemes: str) -> str:
    """Return the error for text that is no URL of these schemes. It never holds any of the text."""
    *others, last = (f"{scheme}://" for scheme in schemes)
    return _NO_ADDRESS.format(f"{', '.join(others)} or {last}")


class RedisAddress(NamedTuple):
    """Address and login of a Redis server, or of the Sentinels that know its address."""

    scheme: Scheme
    #: Host and port of the server, or of each Sentinel; none for a socket.
    hosts: tuple[tuple[str, int], ...]
    #: Of the socket; empty for all others.
    path: str
    username: str
    password: str
    database: int

    @classmethod
    def parse(cls, url: str) -> Self:
        """Return the address in `url`. Raises ValueError, whose text never holds the password."""
        parts = [_UrlPart.split(each) for each in (url.split(";") if url.startswith("sentinel") else [url])]
        if len({each.scheme for each in parts}) > 1:
            raise ValueError("Sentinels of one master are all reached over TLS, or none is")
        logins = {each.login for each in parts} - {("", "")}
        databases = {each.database for each in parts} - {""}
        if len(logins) > 1 or len(databases) > 1:
            raise ValueError("Sentinels of one master have one password and one database, the master's")
        username, password = next(iter(logins), ("", ""))
        hosts = tuple((each.host, each.port) for each in parts if each.host)
        return cls(parts[0].scheme, hosts, parts[0].path, username, password, int(next(iter(databases), "0")))

    @property
    def is_sentinel(self) -> bool:
        """Whether Sentinels say where the server is."""
        return self.scheme in _SENTINELS

    @property
    def is_tls(self) -> bool:
        """Whether TLS is required."""
        return self.scheme in {"rediss", "sentinels"}

    @property
    def is_socket(self) -> bool:
        """Whether it is a socket of this machine."""
        return self.scheme == "unix"

    def login(self) -> dict[str, Any]:
        """Return redis-py's options of the login: database, and user and password where there are any."""
        given = {"username": self.username, "password": self.password}
        return {"db": self.database} | {name: value for name, value in given.items() if value}

    def place(self) -> dict[str, Any]:
        """Return redis-py's options of the place, of a server that no Sentinel names."""
        if self.is_socket:
            return {"path": self.path}
        host, port = self.hosts[0]
        return {"host": host, "port": port}

    def for_celery(self) -> str:
        """Return the URL for Celery, its transport and Flower. TLS is configured separately."""
        login = ":".join(quote(part, safe="") for part in (self.username, self.password)) if self.password else ""
        if self.username and not self.password:
            login = quote(self.username, safe="")
        at = f"{login}@" if login else ""
        if self.is_socket:
            return f"redis+socket://{at}{quote(self.path)}?virtual_host={self.database}"
        scheme = "sentinel" if self.is_sentinel else self.scheme
        # kombu goes through the parts of several and takes each by itself.
        return ";".join(f"{scheme}://{at}{_bracketed(host)}:{port}/{self.database}" for host, port in self.hosts)


class _UrlPart(NamedTuple):
    """One of the URLs between semicolons."""

    scheme: Scheme
    host: str
    port: int
    path: str
    login: tuple[str, str]
    database: str

    @classmethod
    def split(cls, url: str) -> Self:
        """Return the parts of a URL. Raises ValueError."""
        parts = _split(url)
        login = unquote(parts.username or ""), unquote(parts.password or "")
        named = _database(parts.query)
        if parts.scheme == "unix":
            if parts.hostname or not parts.path.strip("/"):
                raise ValueError("a socket is written as unix:///run/redis.sock, with three slashes")
            return cls("unix", "", 0, unquote(parts.path), login, named)
        if parts.scheme in _SENTINELS and not parts.hostname:
            raise ValueError("Sentinels are written as sentinel://HOST:PORT, several with ; between")
        database = _one(unquote(parts.path).strip("/"), named)
        scheme: Scheme = parts.scheme  # type: ignore[assignment]  # `_split` takes no other
        return cls(scheme, parts.hostname or "localhost", parts.port or _PORTS[scheme], "", login, database)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        # Only asking for the port looks at it.
        usable = parts.port != 0 and parts.scheme in get_args(Scheme) and not parts.fragment
    except ValueError:
        usable = False
    # An @ further on was to end a password that holds one of the signs that end a host.
    if not usable or "@" in parts.path + parts.query:
        raise ValueError(no_address(*get_args(Scheme)))
    return parts


def _database(query: str) -> str:
    options = parse_qsl(query, keep_blank_values=True)
    if other := next((name for name, _ in options if name != "db"), ""):
        raise ValueError(_NO_OPTION.format(other))
    return _one(*(value for _, value in options))


def _one(*named: str) -> str:
    databases = {name for name in named if name}
    if len(databases) > 1 or not all(name.isascii() and name.isdecimal() for name in databases):
        raise ValueError("the database of a Redis is one number")
    return next(iter(databases), "")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
