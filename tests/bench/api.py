"""What the HTTP API costs where nobody asks it anything: ingest's CPU an event with it and without it, in turn."""

from collections.abc import Iterator, Mapping

from tests.bench import pipelines
from tests.bench.mix import Mix
from tests.bench.noise import undisturbed
from tests.bench.pipelines import Setup
from tests.bench.results import Say

_SERVED = {"API_TOKEN": "of-the-benchmark"}


def ratios(mix: Mix, events: int, rounds: int, say: Say) -> Iterator[float]:
    """Yield ingest's CPU an event at full speed with the API over that without it, one for each round of both."""

    def spent_us(environment: Mapping[str, str]) -> float:
        once = undisturbed(
            lambda: pipelines.once(Setup(mix, environment=environment), events)[0],
            lambda run: run.noise,
            say,
        )
        return once.cpu_us["ingest"]

    for number in range(rounds):
        order = (_SERVED, {}) if number % 2 else ({}, _SERVED)
        spent = {bool(environment): spent_us(environment) for environment in order}
        say(f"ingest's CPU an event with the HTTP API {spent[True]:.1f} us, without {spent[False]:.1f} us")
        yield spent[True] / spent[False]
