"""What the HTTP API costs where nobody asks it anything: ingest's CPU an event with it and without it, in turn."""

from collections.abc import Iterator

from tests.bench import pipelines
from tests.bench.mix import Mix
from tests.bench.pipelines import Setup

_SERVED = {"API_TOKEN": "of-the-benchmark"}


def ratios(mix: Mix, events: int, rounds: int) -> Iterator[float]:
    """Yield ingest's CPU an event at full speed with the API over that without it, one for each round of both."""
    for number in range(rounds):
        order = (_SERVED, {}) if number % 2 else ({}, _SERVED)
        spent_us = {
            bool(environment): pipelines.once(Setup(mix, environment=environment), events)[0].cpu_us["ingest"]
            for environment in order
        }
        yield spent_us[True] / spent_us[False]
