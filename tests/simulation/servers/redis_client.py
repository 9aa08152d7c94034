"""redis-py's clients with everything below their commands replaced: for ingest asynchronous, for workers blocking."""

import asyncio
import copy
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import cache
from typing import Any, Self

import redis
import redis.asyncio
from redis.asyncio.client import Pipeline

from tests.simulation.scheduler import wait
from tests.simulation.servers.bell import Bell
from tests.simulation.servers.lua import sha1
from tests.simulation.servers.network import Network
from tests.simulation.servers.redis_server import RedisServer

_POOL = redis.asyncio.ConnectionPool(protocol=2)
_BLOCKING_POOL = redis.ConnectionPool(protocol=2)


class RedisLink:
    """The way of one process to Redis."""

    def __init__(self, server: RedisServer, network: Network) -> None:
        self.server, self.network = server, network

    async def call(self, arguments: tuple[Any, ...]) -> Any:
        """Run a command. One that may wait for something waits; it waits for a whole second at most."""
        reply = await self.network.call(self.server.execute, *arguments)
        if reply is None and b"BLOCK" in arguments:
            within_s = int(arguments[arguments.index(b"BLOCK") + 1]) / 1_000
            await self._pushed([arguments[-2].encode()], within_s)
            reply = await self.network.call(self.server.execute, *arguments)
        return reply

    async def pop(self, keys: Sequence[bytes], wait_s: float) -> bytes | None:
        """Take an element off the end of one of some lists, waiting for one; None: none came."""
        found: bytes | None = await self.network.call(self._pop, keys)
        if found is None:
            await self._pushed(keys, wait_s)
            found = await self.network.call(self._pop, keys)
        return found

    def _pop(self, keys: Sequence[bytes]) -> Any:
        for key in keys:
            if (found := self.server.rpop(key)) is not None:
                return found
        return None

    async def pause(self, seconds: float) -> None:
        """Wait before the next try."""
        await asyncio.sleep(seconds)

    async def _pushed(self, keys: Sequence[bytes], within_s: float) -> None:
        """Wait until something is put into a list or stream."""
        bell = Bell()
        for key in keys:
            self.server.waiting[key].append(bell.ring)
        await bell.wait(within_s)


class AsyncClient(redis.asyncio.Redis):
    """Ingest's client."""

    _link: RedisLink

    @classmethod
    def over(cls, link: RedisLink) -> Self:
        """Return one that reaches Redis by a link. To copy one takes a tenth of the time that it takes to make it."""
        client: Self = copy.copy(_a_client(cls, _POOL))
        client._link = link
        return client

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        return _read(self.response_callbacks, args, await self._link.call(args), options)

    def pipeline(self, transaction: bool = True, _: str | None = None) -> Pipeline:  # noqa: FBT001, FBT002 redis-py's
        return _Pipeline(self._link, self.response_callbacks, transaction)

    def pubsub(self, **_: Any) -> Any:
        return Subscription(self._link)

    def register_script(self, script: Any) -> Any:
        return _Script(self, script)

    async def aclose(self, _: bool | None = None) -> None:  # noqa: FBT001 redis-py's
        """Do nothing: nothing is open."""


class _Pipeline(Pipeline):
    def __init__(self, link: RedisLink, callbacks: Any, transaction: bool) -> None:  # noqa: FBT001 as its base
        super().__init__(_POOL, callbacks, transaction, None)
        self._link = link

    async def execute(self, _: bool = True) -> list[Any]:  # noqa: FBT001, FBT002 redis-py's
        stack, self.command_stack = list(self.command_stack), []
        server = self._link.server
        answers = await self._link.network.call(lambda: [server.execute(*args) for args, _ in stack])
        return [
            _read(self.response_callbacks, args, answer, dict(options))
            for (args, options), answer in zip(stack, answers, strict=True)
        ]


class BlockingClient(redis.Redis):
    """A worker's client, for what `scheduler.blocking` runs."""

    _link: RedisLink

    @classmethod
    def over(cls, link: RedisLink) -> Self:
        """Return one that reaches Redis by a link."""
        client: Self = copy.copy(_a_client(cls, _BLOCKING_POOL))
        client._link = link
        # One with a pool of its own draws that one's name, and all that the seed decides later depends on it.
        secrets.token_hex(4)
        return client

    def execute_command(self, *args: Any, **options: Any) -> Any:
        return _read(self.response_callbacks, args, wait(self._link.call(args)), options)

    def register_script(self, script: Any) -> Any:
        run = _Script(self, script)
        return lambda keys=(), args=(): wait(run(keys, args))


class _Script:
    """Runs a script as redis-py's does, in half of its time."""

    def __init__(self, client: Any, text: str) -> None:
        self._client, self._text, self._sha = client, text, sha1(text.encode())

    async def __call__(self, keys: Sequence[Any] = (), args: Sequence[Any] = (), client: Any = None) -> Any:
        call = (client or self._client)._link.call
        command = ("EVALSHA", self._sha, len(keys), *keys, *args)
        try:
            return await call(command)
        except redis.exceptions.NoScriptError:
            await call(("SCRIPT LOAD", self._text))
            return await call(command)


@cache
def _a_client(kind: Any, pool: Any) -> Any:
    return kind(connection_pool=pool)


def _read(callbacks: Any, args: tuple[Any, ...], reply: Any, options: dict[str, Any]) -> Any:
    """Read a reply as redis-py's parser does."""
    # Names of commands are in capitals here, as redis-py keeps them: its own `get` turns each into them first.
    read: Callable[..., Any] | None = dict.get(callbacks, args[0])
    if not read:
        return reply
    # What redis-py tells its cache is not for who reads.
    options.pop("keys", None)
    return read(reply, **options)


class Subscription:
    """What redis-py's `pubsub` returns, as far as `CommitNotices` uses it."""

    def __init__(self, link: RedisLink) -> None:
        self._link, self._cuts = link, link.network.cuts
        self._messages: deque[bytes] = deque()
        self._bell: Bell | None = None
        #: Of the process that subscribes; messages come from others.
        self._context = copy_context()
        self._arrives_s = 0.0
        self._takers: list[Callable[[bytes], None]] = []
        self.connection = None

    async def subscribe(self, channel: str) -> None:
        def add() -> None:
            self._takers = self._link.server.subscribers[channel.encode()]
            self._takers.append(self._take)

        await self._link.network.call(add)

    def _take(self, message: bytes) -> None:
        loop = asyncio.get_running_loop()
        # In their order, as on any connection.
        self._arrives_s = max(self._arrives_s, loop.time() + self._link.network.delay_s)
        loop.call_at(self._arrives_s, self._arrive, message, context=self._context)

    def _arrive(self, message: bytes) -> None:
        self._messages.append(message)
        if self._bell:
            self._bell.ring()

    async def get_message(self, timeout: float) -> dict[str, Any] | None:  # noqa: ASYNC109 redis-py's
        network = self._link.network
        if not self._messages:
            self._bell = Bell()
            await self._bell.wait(timeout)
        if network.is_down or network.cuts != self._cuts or network.loses(network.weather.lost_answers):
            raise redis.ConnectionError("the subscription was lost")
        return {"data": self._messages.popleft()} if self._messages else None

    async def aclose(self) -> None:
        if self._take in self._takers:
            self._takers.remove(self._take)
