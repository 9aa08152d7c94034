"""What the benchmark's report says of rounds and of what others took meanwhile."""

from tests.bench import latencies
from tests.bench.noise import Noise
from tests.bench.reporting import table, targets
from tests.bench.results import Latency, Machine, Ratio, Report

MACHINE = Machine(2, "cpu", "3.11", 0.0)


def test_rounds_of_a_latency_become_their_median_and_spread():
    rounds = [
        Latency(100.0, 99.0, p50_ms, 2 * p50_ms, [p50_ms], {"ingest": 10 * p50_ms}, Noise(foreign=p50_ms / 100))
        for p50_ms in (3.0, 1.0, 2.0)
    ]
    found = latencies.medians(rounds)
    assert (found.p50_ms, found.p50_spread, found.p99_spread) == (2.0, Ratio(2.0, 1.0, 3.0), Ratio(4.0, 2.0, 6.0))
    assert (found.windows_p99_ms, found.cpu_us) == ([3.0, 1.0, 2.0], {"ingest": 20.0})
    assert found.noise == Noise(foreign=0.03)
    line = next(
        target
        for target in targets.of(Report(MACHINE, quick=True, latency=[found]))
        if target.what.startswith("p50 at 100")
    )
    assert line.spread == (1.0, 3.0)


def test_the_tables_say_what_was_measured_how_long_and_beside_what():
    found = Report(
        MACHINE, quick=True, form="3 rounds of 5 s", account=[1.1, 1.3, 1.2], memory_of="2026-01-01; another machine"
    )
    found.noise = {"account": Noise(steal=0.02, foreign=0.01)}
    found.latency = [Latency(100.0, 99.0, 1.0, 2.0), Latency(2_000.0, 1_999.0, 3.0, 4.0, is_settled=False)]
    text = table.markdown(found)
    assert "| 100 | once warm |" in text
    assert "| 2,000 | before two windows were alike |" in text
    assert "quick form, 3 rounds of 5 s. Memory was measured earlier: 2026-01-01; another machine" in text
    assert "| account | 1.2 | 1.1 to 1.3 | 3.0% |" in text
