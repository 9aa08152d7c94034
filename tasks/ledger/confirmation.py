"""Waits until what was read or written outlives the server: it is on its disk, or a replica has it (LEDGER_DURABILITY).

Redis waits for what one connection has written, and for all that was written before. So a write of our own goes between
what is asked and the wait, and all three travel together: sent apart, the wait could reach another server, which knows
nothing of it and would confirm it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import redis
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.commands.core import AsyncScript
from redis.exceptions import NoScriptError

from tasks.clients.redis_client import reason
from tasks.protocol.findings import Finding, unconfirmed
from tasks.settings.redis_settings import Durability

#: How long Redis may take; less than a client waits for an answer.
WAIT_MS = 1000
#: The field of a shard that is written.
MARK = "confirmed"
_WAITS: dict[Durability, tuple[str | int, ...]] = {"disk": ("WAITAOF", 1, 0), "replica": ("WAIT", 1)}
_MISSING = {
    "disk": f"its disk does not have what is committed within {WAIT_MS / 1000:g} s",
    "replica": f"no replica has what is committed within {WAIT_MS / 1000:g} s",
}


class UnconfirmedError(redis.RedisError):
    """What was read or written may still be lost."""


class Confirmation:
    """Asks the ledger, and waits as long as it takes until the answers will stay true."""

    def __init__(self, client: Redis, durability: Durability, key: str) -> None:
        """`key` is that of the shard."""
        self._client, self._durability, self._key = client, durability, key
        #: Why the last one did not come; empty: it came.
        self._why = ""

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to wait for."""
        return self._durability != "memory"

    async def run(self, script: AsyncScript, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run a script; return its answer. Raises UnconfirmedError, and what Redis raises."""
        if not self.is_needed:
            return await script(keys=keys, args=arguments)

        def call(client: Redis) -> Any:
            return client.evalsha(script.sha, len(keys), *keys, *arguments)

        try:
            return await self.answer(call)
        except NoScriptError:
            await self._client.script_load(script.script)
            return await self.answer(call)

    async def answer(self, ask: Callable[[Redis], Any]) -> Any:
        """Return the answer to one command. Raises UnconfirmedError, and what Redis raises."""
        if not self.is_needed:
            return await ask(self._client)
        async with self._client.pipeline(transaction=False) as pipe:
            ask(pipe)
            (answer,) = await self.answers(pipe)
            return answer

    async def answers(self, pipe: Pipeline) -> list[Any]:
        """Return the answers to a pipeline, which is no transaction. Raises UnconfirmedError, and what Redis raises."""
        if not self.is_needed:
            return await pipe.execute()
        pipe.hset(self._key, MARK, "")
        pipe.execute_command(*_WAITS[self._durability], WAIT_MS)
        *answers, kept = await pipe.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        await self._check(kept)
        return answers[:-1]

    async def _check(self, kept: Any) -> None:
        # Of WAITAOF, on how many disks, ours and replicas'.
        copies = kept[0] if isinstance(kept, list) else kept
        if isinstance(copies, int) and copies:
            self._why = ""
            return
        self._why = reason(kept) if isinstance(kept, Exception) else _MISSING[self._durability]
        # Behind Sentinels, there may be another master by now.
        await self._client.connection_pool.disconnect(inuse_connections=False)
        raise UnconfirmedError(self._why)

    def findings(self) -> Iterator[Finding]:
        """Yield a fault while Redis does not confirm."""
        if self._why:
            yield unconfirmed(self._durability, self._why)
