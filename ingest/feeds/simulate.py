"""Puts a simulated market on NATS, at its own pace or a given one."""

import asyncio
import time
from typing import NamedTuple

import structlog

from ingest.feeds.publisher import Publisher
from ingest.feeds.publishing import publishing
from ingest.feeds.simulator.market import SimulatedMarket
from ingest.feeds.simulator.profiles import instrument
from tasks.events import Venue
from tasks.settings import Settings
from tasks.telemetry.log_throttle import LogThrottle

log = structlog.get_logger()

#: The first id of every symbol when a seed is given.
SEEDED_FIRST_ID = 1_000_000


class SimulationPlan(NamedTuple):
    """Parameters of a simulation."""

    symbols: list[str]
    venue: Venue
    #: Events a second; None: the market's own pace.
    rate: float | None
    #: None: another market each time, with ids that rise from one to the next.
    seed: int | None
    #: None: without end.
    seconds: float | None


def market(plan: SimulationPlan, start_ns: int) -> SimulatedMarket:
    """Open the market that `plan` describes."""
    return SimulatedMarket(
        [instrument(symbol, plan.venue) for symbol in plan.symbols],
        plan.venue,
        seed=start_ns if plan.seed is None else plan.seed,
        first_id=None if plan.seed is None else SEEDED_FIRST_ID,
        start_ns=start_ns,
        rate=plan.rate,
    )


async def simulate(settings: Settings, plan: SimulationPlan) -> None:
    """Publish for `plan.seconds` from when NATS is there. Raises ServerUnavailableError: it was not there in that time."""
    async with publishing(settings, within_s=plan.seconds, venue=plan.venue) as publisher:
        await _pace(publisher, plan)


async def _pace(publisher: Publisher, plan: SimulationPlan) -> None:
    start_ns, started_ns = time.time_ns(), time.monotonic_ns()
    opened = market(plan, start_ns)
    log.info(
        "simulating", symbols=len(plan.symbols), venue=plan.venue, events_per_s=round(plan.rate or opened.natural_rate)
    )
    late = LogThrottle()
    for frame in opened.frames():
        since_start_ns = frame.at_ns - start_ns
        if plan.seconds is not None and since_start_ns > plan.seconds * 1e9:
            break
        # The monotonic clock paces: a wall clock that is set must neither hurry the market nor stop it.
        ahead_s = (since_start_ns - (time.monotonic_ns() - started_ns)) / 1e9
        if ahead_s > 0.001:
            await asyncio.sleep(ahead_s)
        elif ahead_s < -1 and late.allow():
            log.warning("this machine can't keep up with the rate", behind_s=round(-ahead_s, 1))
        await publisher.publish(frame.stream, frame.raw)
