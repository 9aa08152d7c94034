"""What others do to the benchmark's figures, and how its latencies are cut into windows. No sockets."""

from collections import Counter
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from tasks.protocol.counters import CounterKey, Counts
from tasks.telemetry.latency import milliseconds
from tests.bench.latencies import Windows
from tests.bench.noise import DISTURBED, Noise, NoiseMeter, undisturbed


class Times(NamedTuple):
    """A machine's clocks, in seconds."""

    user: float
    system: float
    idle: float
    steal: float


def test_what_others_take_is_what_is_busy_and_not_ours():
    clocks = iter([Times(100.0, 10.0, 50.0, 5.0), Times(104.0, 11.0, 54.0, 6.0)])
    noise = NoiseMeter(lambda: next(clocks)).noise(used_s=4.0)
    # Of 10 s, 1 s was taken away; of the 5 s busy, 4 s and what this test took were ours.
    assert noise.steal == 0.1
    assert 0.05 < noise.foreign <= 0.1


@pytest.mark.parametrize(
    ("noises", "measured", "chosen"),
    [([0.01, 0.0], 1, 0.01), ([0.3, 0.02], 2, 0.02), ([0.3, 0.1, 0.2, 0.0], 3, 0.1)],
)
def test_what_others_disturb_is_measured_again(noises: list[float], measured: int, chosen: float):
    left, said = [Noise(foreign=each) for each in noises], list[str]()
    found = undisturbed(lambda: left.pop(0), lambda each: each, said.append)
    assert (found.foreign, len(noises) - len(left)) == (chosen, measured)
    assert len(said) == len([each for each in noises[:measured] if each > DISTURBED])


def test_a_window_has_the_latencies_that_were_counted_in_it():
    quick, slow = CounterKey("latency", "0"), CounterKey("latency", "96")
    told = iter([Counts({quick: 100}), Counts({quick: 150, slow: 50})])
    pipeline: Any = SimpleNamespace(reader=SimpleNamespace(counters=lambda: next(told)))
    windows = Windows(pipeline, Counter(), 0.0)
    windows.sample()
    windows.sample()
    assert windows.p99_ms == [milliseconds(0), milliseconds(96)]
