"""What the HTTP API costs where nobody asks it anything: ingest's CPU an event with it and without it, in turn."""

from collections.abc import Iterator, Mapping
from functools import partial

from tests.bench import pipelines
from tests.bench.mix import Mix
from tests.bench.noise import RoundRatio, Say, most, undisturbed
from tests.bench.pipelines import Setup
from tests.bench.runs import RunUsage

_SERVED = {"API_TOKEN": "of-the-benchmark"}


def ratios(mix: Mix, events: int, rounds: int, say: Say) -> Iterator[RoundRatio]:
    """Yield ingest's CPU an event at full speed with the API over that without it, one for each round of both."""

    def once(environment: Mapping[str, str]) -> RunUsage:
        return pipelines.once(Setup(mix, environment=environment), events)[0]

    for number in range(rounds):
        order = (_SERVED, {}) if number % 2 else ({}, _SERVED)
        found = {bool(each): undisturbed(partial(once, each), lambda run: run.noise, say) for each in order}
        spent = {served: run.cpu_us["ingest"] for served, run in found.items()}
        say(f"ingest's CPU an event with the HTTP API {spent[True]:.1f} us, without {spent[False]:.1f} us")
        yield RoundRatio(spent[True] / spent[False], most(run.noise for run in found.values()))
