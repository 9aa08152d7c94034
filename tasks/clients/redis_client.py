"""Makes every client of Redis: of one server, or of the master that Sentinels name.

A client of a master asks the Sentinels at each new connection. While they have none to name, a call fails as it does
when a server is unavailable; so who can wait for a server can wait for a failover. A master that takes no writes because
no replica hears it may have been replaced without noticing: then a call fails in the same way, and the Sentinels are
asked again.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

import redis
import redis.asyncio
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.connection import ConnectionPool as AsyncConnectionPool
from redis.asyncio.connection import SSLConnection as AsyncSSLConnection
from redis.asyncio.connection import UnixDomainSocketConnection as AsyncSocketConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.asyncio.sentinel import SentinelConnectionPool as AsyncPool
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.connection import AbstractConnection as SyncConnection
from redis.connection import ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry
from redis.sentinel import Sentinel

from tasks.clients.redis_tls import tls_options
from tasks.settings import Settings
from tasks.settings.redis_url import RedisAddress

#: A client of either kind.
Client = TypeVar("Client", redis.Redis, redis.asyncio.Redis)
#: What a call raises while Redis can't be reached or does not answer: the same call may do later.
UNAVAILABLE = (redis.ConnectionError, redis.TimeoutError, OSError)
#: What a call raises for any reason that lies in Redis: it is unavailable, or refuses, or is not understood.
FAILED = (redis.RedisError, OSError)
#: How long a Sentinel may take to answer; then the next one is tried.
SENTINEL_TIMEOUT_S = 1.0


def connect(settings: Settings, url: str, **options: Any) -> redis.Redis:
    """Return a client that connects at its first call. `options` are those of redis-py's connections.

    Raises ValueError: not a URL of Redis.
    """
    address = RedisAddress.parse(url)
    if not address.is_sentinel:
        kinds = (SSLConnection, UnixDomainSocketConnection)
        return redis.Redis.from_pool(ConnectionPool(**_place(settings, address, kinds, options)))
    asking, tls = sentinel_options(settings, address), _tls(settings, address)
    asked: Any = _Sentinel(address.hosts, sentinel_kwargs=asking, **address.login(), **tls, **options)  # type: ignore[no-untyped-call]  # redis-py's gap
    client: redis.Redis = asked.master_for(settings.redis_sentinel_master)
    return _made_of(client, _SearchingConnection)


def connect_async(settings: Settings, url: str, **options: Any) -> redis.asyncio.Redis:
    """Return a client for asyncio that connects at its first call. `options` are those of redis-py's connections.

    Raises ValueError: not a URL of Redis.
    """
    address = RedisAddress.parse(url)
    if not address.is_sentinel:
        kinds = (AsyncSSLConnection, AsyncSocketConnection)
        pool = AsyncConnectionPool(**_place(settings, address, kinds, options))
        return _made_of(redis.asyncio.Redis.from_pool(pool), _ReconnectingConnection)
    asking, tls = sentinel_options(settings, address), _tls(settings, address)
    asked = _AsyncSentinel(address.hosts, sentinel_kwargs=asking, **address.login(), **tls, **options)  # type: ignore[no-untyped-call]  # redis-py's gap
    client: redis.asyncio.Redis = asked.master_for(settings.redis_sentinel_master, connection_pool_class=_Pool)
    return _made_of(client, _AsyncSearchingConnection)


def _place(
    settings: Settings, address: RedisAddress, kinds: tuple[type, type], options: dict[str, Any]
) -> dict[str, Any]:
    """Return a pool's options; `kinds` are the classes of connections over TLS and to a socket of this machine."""
    over_tls, to_socket = kinds
    kind: dict[str, Any] = {}
    if address.is_tls or address.is_socket:
        kind["connection_class"] = over_tls if address.is_tls else to_socket
    # A socket of this machine has no keep-alive, and its class does not take the word.
    usable = {name: value for name, value in options.items() if not (address.is_socket and name == "socket_keepalive")}
    return address.place() | address.login() | tls_options(settings, address) | kind | usable


def _made_of(client: Client, kind: type) -> Client:
    """Return the client; its connections are of this kind, too."""
    pool: Any = client.connection_pool
    pool.connection_class = type(pool.connection_class.__name__, (kind, pool.connection_class), {})
    return client


class _ReconnectingConnection(AbstractConnection):
    """A connection that reports its loss as redis-py expects: while it closes, uvloop raises another exception."""

    async def send_packed_command(self, *arguments: Any, **options: Any) -> None:
        try:
            await super().send_packed_command(*arguments, **options)
        except RuntimeError as error:
            if "handler is closed" not in str(error):
                raise
            raise redis.ConnectionError("the connection was closed") from None


class _AsyncSearchingConnection(_ReconnectingConnection):
    """A connection to a master that looks for another one when no replica hears this one."""

    async def send_packed_command(self, *arguments: Any, **options: Any) -> None:
        if not self.is_connected:
            # redis-py would go where it was before, without asking the Sentinels: a subscription does that at a ping.
            await self.connect()  # type: ignore[no-untyped-call]  # redis-py's gap
        await super().send_packed_command(*arguments, **options)

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*arguments, **options)
        except redis.ResponseError as error:
            if not is_cut_off(error):
                raise
            await self.disconnect()
            raise redis.ConnectionError(reason(error)) from None


class _SearchingConnection(SyncConnection):
    """The same without asyncio."""

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().read_response(*arguments, **options)
        except redis.ResponseError as error:
            if not is_cut_off(error):
                raise
            self.disconnect()  # type: ignore[no-untyped-call]  # redis-py's gap
            raise redis.ConnectionError(reason(error)) from None


def is_cut_off(error: Exception) -> bool:
    """Whether a server refuses a write because it has fewer replicas than `min-replicas-to-write`."""
    return "NOREPLICAS" in str(error)


class _Sentinel(Sentinel):
    """Reports in one line why there is no master: redis-py prints its clients instead, and not their errors."""

    def discover_master(self, service_name: str) -> tuple[str, int]:
        try:
            found: tuple[str, int] = super().discover_master(service_name)  # type: ignore[no-untyped-call]  # redis-py's gap
        except redis.ConnectionError:
            heard = ""
            try:
                self.sentinels[0].ping()
            except FAILED as error:
                heard = str(error)
            raise _no_master(service_name, heard) from None
        return found


class _AsyncSentinel(AsyncSentinel):
    """The same for asyncio."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        try:
            found: tuple[str, int] = await super().discover_master(service_name)
        except redis.ConnectionError:
            heard = ""
            try:
                await self.sentinels[0].ping()
            except FAILED as error:
                heard = str(error)
            raise _no_master(service_name, heard) from None
        return found


def _no_master(name: str, heard: str) -> redis.ConnectionError:
    return redis.ConnectionError(f"no Sentinel names a master {name!r}{heard and f'; the first one: {heard}'}")


class _Pool(AsyncPool):
    """Connections to a master, and to one only; closing them closes those to the Sentinels too."""

    async def get_master_address(self) -> tuple[str, int]:
        known = self.master_address
        found: tuple[str, int] = await super().get_master_address()  # type: ignore[no-untyped-call]  # redis-py's gap
        if known not in {None, found}:
            # redis-py closes what is idle. A subscription is in use, and hears nothing at the old master.
            in_use: Sequence[Any] = tuple(self._in_use_connections)
            others = (each for each in in_use if (each.host, each.port) != found)
            await asyncio.gather(*(each.disconnect() for each in others), return_exceptions=True)
        return found

    async def disconnect(self, inuse_connections: bool = True) -> None:  # noqa: FBT001, FBT002 as redis-py calls it
        await super().disconnect(inuse_connections)
        if inuse_connections:
            await self.sentinel_manager.aclose()


def sentinel_options(settings: Settings, address: RedisAddress) -> dict[str, Any]:
    """Return options of connections to Sentinels themselves.

    Plain data, because Celery's workers tell theirs as JSON.
    """
    patience = {"socket_timeout": SENTINEL_TIMEOUT_S, "socket_connect_timeout": SENTINEL_TIMEOUT_S}
    login = {"password": settings.redis_sentinel_password} if settings.redis_sentinel_password else {}
    # Not again and again: the next Sentinel is asked instead.
    return patience | login | _tls(settings, address) | {"retry": None}


def _tls(settings: Settings, address: RedisAddress) -> dict[str, Any]:
    options = tls_options(settings, address)
    return {"ssl": True, **options} if options else {}


def reason(error: Exception) -> str:
    """Return why something was refused, in Redis's own words if it was Redis: a line of 200 characters at most."""
    words, *_ = str(error).partition(" script: ")
    return " ".join(words.split())[:200] or type(error).__name__


def connection_options(*, retries: int = 0) -> dict[str, Any]:
    """Return options of every Redis client of ours: nothing hangs, nothing is sent twice unless by `retries`."""
    return {
        "socket_timeout": 5,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 5,
        "retry": Retry(ExponentialBackoff(cap=1.0, base=0.05) if retries else NoBackoff(), retries),
    }


def async_connection_options() -> dict[str, Any]:
    """Return the same for clients of asyncio, which never send twice."""
    return connection_options() | {"retry": AsyncRetry(NoBackoff(), 0)}
