"""What lies between a process and a server: delays, lost requests, lost answers, servers that are unavailable. Seeded."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

import redis

T = TypeVar("T")


@dataclass
class Weather:
    """How bad a network is, in shares of all calls and in seconds."""

    lost_requests: float = 0.0
    lost_answers: float = 0.0
    slow: float = 0.0
    slow_s: float = 0.0


CALM = Weather()
#: How long a message takes at most in calm weather.
DELAY_S = 0.004
LOST = "the connection was lost"
#: In calm weather, the share of answers that come after a moment.
ANSWERS_LATE = 0.3


class Network:
    """The way to one server."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.weather = CALM
        self.is_down = False
        #: How often all connections were cut.
        self.cuts = 0
        #: How many calls were hit.
        self.hits = 0

    def cut(self) -> None:
        """End all connections, and lose what is in transit."""
        self.cuts += 1

    def loses(self, share: float) -> bool:
        """Whether something is lost now."""
        if share and self._random.random() < share:
            self.hits += 1
            return True
        return False

    @property
    def delay_s(self) -> float:
        """How long the next message takes."""
        if self.weather.slow and self._random.random() < self.weather.slow:
            self.hits += 1
            return self._random.random() * self.weather.slow_s
        return self._random.random() * DELAY_S

    async def call(self, serve: Callable[..., T], *arguments: Any) -> T:
        """Have a server do something; return or raise what it does. Raises ConnectionError: nobody knows whether it did."""
        # Called so often that what is calm costs no call of its own.
        cuts, draw = self.cuts, self._random.random
        await asyncio.sleep(self.delay_s if self.weather.slow else draw() * DELAY_S)
        if self.is_down or cuts != self.cuts or self.loses(self.weather.lost_requests):
            raise redis.ConnectionError(LOST)
        refusal: redis.ResponseError | None = None
        try:
            answer = serve(*arguments)
        except redis.ResponseError as error:
            refusal = error
        # An answer that comes at once is as good as one after a moment, and costs the simulation less.
        if self.weather.slow:
            await asyncio.sleep(self.delay_s)
        elif draw() < ANSWERS_LATE:
            await asyncio.sleep(draw() * DELAY_S)
        if self.is_down or cuts != self.cuts or self.loses(self.weather.lost_answers):
            raise redis.ConnectionError(LOST)
        if refusal:
            raise refusal
        return answer
