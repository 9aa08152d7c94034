from tasks.protocol.counters import Counts
from tasks.protocol.outcome import Outcome
from tasks.protocol.strategy_counts import StrategyCounts, strategy_counts
from tasks.worker.strategy_times import INTERVAL_S, StrategyTimes


def outcome(events: int, **spent_ns: int) -> Outcome:
    counts = Counts()
    counts.add("applied", by=events)
    return Outcome({}, [], [], [], counts, spent_ns=spent_ns)


def test_the_times_of_many_batches_go_out_with_one_commit():
    now_s = 100.0
    times, batches = StrategyTimes(lambda: now_s), [outcome(2, iceberg=3_000, other=10) for _ in range(4)]
    times.add(batches[0])
    for each in batches[1:3]:
        times.add(each)
    now_s += INTERVAL_S
    times.add(batches[3])
    counted = [strategy_counts(each.counts) for each in batches]
    assert counted[0] == {
        "iceberg": StrategyCounts(events=2, spent_ns=3_000),
        "other": StrategyCounts(events=2, spent_ns=10),
    }
    assert counted[1] == counted[2] == {}
    assert counted[3]["iceberg"] == StrategyCounts(events=6, spent_ns=9_000)
