"""Writes the recording that comes with the project: python -m tests.data.make_recording.

A minute and a half of a simulated market, six symbols, spot and USD-M futures. The same bytes each time, so whoever
changes the simulator writes it again.
"""

import argparse
import gzip
import heapq
import itertools
from collections.abc import Iterator

from ingest.feeds import simulate
from ingest.feeds.simulator.market import SimulatedFrame
from ingest.feeds.simulator.profiles import DEFAULT_SYMBOLS
from tasks.events import Venue
from tests.data import RECORDING

SECONDS = 90
#: 1 January 2026, 00:00 UTC.
START_NS = 1_767_225_600 * 10**9
#: By venue. Chosen among a dozen because nearly every strategy speaks.
SEEDS: dict[Venue, int] = {"spot": 8, "usdm": 9}


def content() -> bytes:
    """Return the recording, not compressed; about 13 MB."""
    merged = heapq.merge(*(_frames(venue, seed) for venue, seed in SEEDS.items()), key=lambda frame: frame.at_ns)
    return b"".join(frame.raw + b"\n" for frame in merged)


def _frames(venue: Venue, seed: int) -> Iterator[SimulatedFrame]:
    plan = simulate.SimulationPlan(list(DEFAULT_SYMBOLS), venue, rate=None, seed=seed, seconds=SECONDS)
    end_ns = START_NS + SECONDS * 10**9
    return itertools.takewhile(lambda frame: frame.at_ns < end_ns, simulate.market(plan, START_NS).frames())


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tests.data.make_recording", description=__doc__).parse_args()
    # Without a time of its own, so that the same content is the same file.
    RECORDING.write_bytes(gzip.compress(content(), 9, mtime=0))
