"""The address of a Redis whose master Sentinels name, written as Celery reads it. Pure.

    sentinel://:PASSWORD@one:26379/0;sentinel://two:26379;sentinel://three:26379

User, password and database are the master's. `sentinels://` is the same over TLS, to Sentinels and servers alike;
Celery knows no such scheme, and is told of TLS beside the address.
"""

from typing import NamedTuple, Self
from urllib.parse import SplitResult, urlsplit

SCHEME = "sentinel"
TLS_SCHEME = "sentinels"
DEFAULT_PORT = 26_379


def is_sentinel(url: str) -> bool:
    """Whether `url` names Sentinels instead of a server."""
    return url.startswith((f"{SCHEME}://", f"{TLS_SCHEME}://"))


def for_celery(url: str) -> str:
    """Give `url` in a scheme that Celery knows."""
    return url.replace(f"{TLS_SCHEME}://", f"{SCHEME}://") if is_sentinel(url) else url


class Sentinels(NamedTuple):
    """Who to ask for the master, and how to log in there."""

    #: Host and port of each Sentinel.
    hosts: tuple[tuple[str, int], ...]
    #: User and password of the master as they stand in the URL, with the `@`; or empty.
    login: str
    database: int
    scheme: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a URL. Raises ValueError, which never holds the password."""
        parts = [urlsplit(each) for each in url.split(";")]
        hosts = tuple(map(_host, parts))
        schemes = {each.scheme for each in parts}
        logins = {each.netloc.rpartition("@")[0] for each in parts} - {""}
        databases = {each.path.strip("/") for each in parts} - {""}
        if len(schemes) > 1:
            raise ValueError("Sentinels of one master are all reached over TLS, or none is")
        if len(logins) > 1 or len(databases) > 1:
            raise ValueError("Sentinels of one master have one password and one database, the master's")
        database = next(iter(databases), "0")
        if not database.isdecimal():
            raise ValueError("the database of a Redis is a number")
        return cls(hosts, next((f"{login}@" for login in logins), ""), int(database), schemes.pop())

    @property
    def url(self) -> str:
        """The URL with user, password and database in each part: kombu goes through the parts and takes each by itself."""
        return ";".join(
            f"{self.scheme}://{self.login}{_bracketed(host)}:{port}/{self.database}" for host, port in self.hosts
        )

    def master(self) -> str:
        """Give a URL with the master's user, password and database; its host means nothing."""
        return f"redis://{self.login}master/{self.database}"


def _host(part: SplitResult) -> tuple[str, int]:
    if part.scheme not in {SCHEME, TLS_SCHEME} or not part.hostname or part.query or part.fragment:
        raise ValueError("Sentinels are written as sentinel://HOST:PORT, several with ; between")
    return part.hostname, part.port or DEFAULT_PORT


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
