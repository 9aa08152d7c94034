"""Reads notices; tells a quiet channel from a dead server."""

import asyncio

import redis
from redis.asyncio.client import PubSub

#: How long a call waits for a notice.
WAIT_S = 1.0
#: How long the answer to a ping may take. redis-py pings a subscription that has been quiet, and asks for no answer.
PATIENCE_S = 5.0


class CommitNotices:
    """A subscription to the channel of commit notices."""

    def __init__(self, pubsub: PubSub, patience_s: float = PATIENCE_S, wait_s: float = WAIT_S) -> None:
        """The connection of `pubsub` must have a `health_check_interval`."""
        self._pubsub, self._patience_s, self._wait_s = pubsub, patience_s, wait_s

    async def next(self) -> str | None:
        """Return the next notice; None where none came for a while.

        Raises what Redis raises; redis.TimeoutError: the server no longer answers pings, because its machine vanished,
        say.
        """
        message = await self._pubsub.get_message(timeout=self._wait_s)
        if message is not None:
            text: str = message["data"].decode(errors="replace")
            return text
        connection = self._pubsub.connection
        # Every answer moves it.
        overdue_s = asyncio.get_running_loop().time() - connection.next_health_check if connection else 0.0
        if overdue_s > self._patience_s:
            raise redis.TimeoutError(f"Redis has not answered to a ping for {overdue_s:.0f} s")
        return None

    async def close(self) -> None:
        """Let go of the connection."""
        await self._pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py's gap
