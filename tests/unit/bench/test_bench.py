"""The benchmark's own arithmetic, and that its contenders do the work that the pipeline does. No sockets."""

import asyncio
import importlib
import itertools
import json
import operator
import threading
from collections import Counter
from pathlib import Path

import msgspec
import pytest
import typer

from tasks import configuration
from tasks.backtest import Backtest
from tasks.configuration import registry
from tasks.events import AnyEvent, Depth, Trade
from tasks.frames import parse
from tasks.frames.model import FrameMetadata
from tasks.history import recordings
from tasks.protocol import records
from tasks.protocol.routing import Shard, partition
from tasks.settings import Settings
from tests.bench import commands, metered, pipelines, shards, throughput, varied
from tests.bench.application import ContenderTotals, Desk, Loop, verdict
from tests.bench.counters import Counters
from tests.bench.mix import NATURAL_RATE, Mix, Original, simulated
from tests.bench.reporting import table, targets
from tests.bench.results import ContenderRun, Latency, Machine, Memory, Point, Ratio, Report
from tests.bench.runs import RunUsage
from tests.bench.usage import RedisUse, role


@pytest.fixture(scope="module")
def originals() -> list[Original]:
    return simulated(1_000)


@pytest.fixture(scope="module")
def mix(originals: list[Original]) -> Mix:
    return Mix(40, originals)


def events_of(mix: Mix, count: int) -> list[AnyEvent]:
    raws = itertools.islice(mix.frames(), count)
    outcomes = [parse(raw, FrameMetadata("binance.frames", seq, seq)) for seq, raw in enumerate(raws, start=1)]
    assert all(isinstance(outcome, Depth | Trade) for outcome in outcomes)
    return [outcome for outcome in outcomes if isinstance(outcome, Depth | Trade)]


def run_of(events_per_s: float) -> RunUsage:
    return RunUsage(round(events_per_s), 1.0, {"worker": 100.0}, {"worker-1": 80.0}, RedisUse(1, 2, 3, {}))


def report(**fields: object) -> Report:
    return msgspec.structs.replace(Report(Machine(2, "cpu", "3.11", 0.0), quick=True), **fields)


# The mix


def test_every_frame_of_the_mix_is_an_event_and_ids_rise_lap_after_lap(mix: Mix):
    last: dict[tuple[str, str, str], int] = {}
    for event in events_of(mix, 3 * 2_000):  # three laps
        name = (event.venue, event.symbol, event.kind)
        assert event.id > last.get(name, -1)
        last[name] = event.id


def test_the_mix_has_as_many_symbols_as_asked_for_evenly_over_the_lanes(mix: Mix):
    seen = {(event.venue, event.symbol) for event in events_of(mix, 2_000)}
    assert seen == set(mix.symbols)
    assert len(seen) == 40
    assert set(Counter(partition(*name, 8) for name in seen).values()) == {5}


def test_the_mix_of_a_shard_has_only_its_symbols_evenly_over_its_lanes(originals: list[Original]):
    for number in range(4):
        symbols = Mix(40, originals, Shard(number, 4)).symbols
        assert len(set(symbols)) == 40
        assert {partition(*name, 64) % 4 for name in symbols} == {number}
        assert set(Counter(partition(*name, 8) for name in symbols).values()) == {20}


def test_event_time_goes_by_a_millisecond_a_frame(mix: Mix):
    times_ms = [event.time_ms for event in events_of(mix, 500)]
    assert times_ms == list(range(times_ms[0], times_ms[0] + 500))
    assert NATURAL_RATE == 1000


# The contenders' work


@pytest.fixture(scope="module")
def expected(
    mix: Mix, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[recordings.RecordingLine], ContenderTotals]:
    lines = list(recordings.read(mix.write(tmp_path_factory.mktemp("mix") / "frames", 1_500)))
    backtest = Backtest(configuration.read(Settings().strategies_file))
    backtest.work(lines)
    return lines, verdict(backtest.ledger.signals, backtest.ledger.records())


def test_the_bare_loop_does_what_the_backtest_does(expected: tuple[list[recordings.RecordingLine], ContenderTotals]):
    loop = Loop()
    delivered = sum(loop.take(line.raw, line.stream, 0) for line in expected[0])
    assert loop.verdict() == expected[1]
    assert delivered == expected[1].applied


def test_one_event_at_a_time_with_stored_states_equals_the_backtest(
    expected: tuple[list[recordings.RecordingLine], ContenderTotals],
):
    desk, store, signals = Desk(), dict[tuple[str, str], dict[str, bytes]](), list[bytes]()
    for line in expected[0]:
        event = desk.parse(line.raw, line.stream, 0)
        assert event is not None
        held = store.setdefault((event.venue, event.symbol), {})
        work = desk.run(event, {name: held.get(name) for name in desk.fields(event)})
        held.update(work.changed)
        signals += work.signals
    stands = [
        (pool, name, records.unpack(packed))
        for held in store.values()
        for field, packed in held.items()
        for pool, _, name in [field.partition("/")]
        if name.startswith("record:")
    ]
    found = verdict(signals, stands)
    assert (found.applied, found.signals) == (expected[1].applied, expected[1].signals)


# Arithmetic


def test_ratios_are_made_within_a_round():
    speeds = {("pipeline", 1): 100.0, ("celery", 1): 10.0, ("pipeline", 2): 60.0, ("celery", 2): 5.0}
    found = [ContenderRun(*of, run_of(speed), 1.0, same_digest=True) for of, speed in speeds.items()]
    assert throughput.ratios(found) == {"celery": Ratio(11.0, 10.0, 12.0)}


def test_the_stages_of_an_event_add_up_to_what_its_processes_used():
    roles = {"ingest": 60.0, "worker": 90.0, "redis": 10.0, "nats": 5.0, "feed": 7.0}
    counted = {"deliver": 30.0, "validate": 20.0, "enqueue": 8.0, "decode": 2.0, "strategies": 50.0, "commit": 9.0}
    stages = pipelines.stages(roles, counted)
    assert sum(stages.values()) == pytest.approx(sum(roles.values()))
    assert (stages["receive"], stages["lanes and page"], stages["celery"]) == (22.0, 10.0, 29.0)


def test_processes_of_one_kind_have_one_role():
    assert [role(name) for name in ("worker-1", "worker-12", "ingest", "feed-frames0")] == [
        "worker",
        "worker",
        "ingest",
        "feed-frames0",
    ]


def test_our_own_questions_to_redis_are_left_out():
    before = RedisUse(10, 100, 50, {"get": 4, "hset": 6})
    after = RedisUse(25, 400, 90, {"get": 9, "hset": 16})
    assert after.since(before).without("get", 5) == RedisUse(10, 300, 40, {"hset": 10})


def test_a_target_is_met_missed_or_not_measured():
    found = report(
        ratios={"celery": 25.0, "bare_loop": 0.5},
        latency=[Latency(2000.0, 1990.0, 1.9, 21.0, [5.0, 6.0, 40.0], {"ingest": 150.0, "worker": 201.0})],
        cpu_ratios={"bare_loop": Ratio(1.2, 1.1, 1.3)},
        points=[Point("delay ms", 0.0, run_of(1000)), Point("delay ms", 2.0, run_of(600))],
    )
    met = {target.what: target.met for target in targets.of(found)}
    assert met["throughput over celery"] is True
    assert met["throughput over bare_loop"] is False
    assert met["throughput over faststream"] is None
    assert met["CPU of an event over bare_loop's"] is True
    assert met["p50 at 2,000 events/s, ms"] is True
    assert met["p99 at 2,000 events/s, ms"] is False
    assert met["p50 at 100 events/s, ms"] is None
    assert met["worst window's p99 over the median window's, at 2,000 events/s"] is False
    assert met["worst window's p99 over the median window's, at 100 events/s"] is None
    assert met["CPU of an event at 2,000 events/s, us"] is False
    assert met["throughput left with 2 ms each way to Redis"] is True


def test_the_gain_by_workers_is_measured_against_what_the_lanes_allow():
    points = [
        Point("waiting workers", 1, run_of(500), bound=1.0),
        Point("waiting workers", 8, run_of(2500), bound=6.25),
    ]
    gain = next(target for target in targets.of(report(points=points)) if target.what.startswith("gain"))
    assert gain.measured == pytest.approx(0.8)
    assert gain.met


def test_a_measurement_in_several_rounds_is_the_median_of_their_ratios():
    speeds = [(2, 1000), (4, 900), (2, 500), (4, 500), (2, 1000), (4, 1100)]
    points = [Point("busy workers", workers, run_of(speed)) for workers, speed in speeds]
    four = next(target for target in targets.of(report(points=points)) if target.what.startswith("4 workers"))
    assert (four.measured, four.spread) == (1.0, (0.9, 1.1))


def test_the_tables_of_the_documentation_say_what_was_not_met():
    text = table.markdown(report(ratios={"bare_loop": 0.5}, spreads={"bare_loop": Ratio(0.5, 0.4, 0.6)}))
    assert "| throughput over bare_loop | 0.5 | 0.4 to 0.6 | at least 0.75 | NOT met |" in text


def test_a_report_has_latencies_and_costs_under_the_names_that_others_read():
    found = report(cpu_us={"bare_loop": 40.0}, latency=[Latency(100.0, 99.0, 2.0, 5.0)])
    written = json.loads(msgspec.json.encode(found))
    assert written["cpu_us"] == {"bare_loop": 40.0}
    assert {name: written["latency"][0][name] for name in ("rate", "p50_ms", "p99_ms")} == {
        "rate": 100.0, "p50_ms": 2.0, "p99_ms": 5.0,
    }  # fmt: skip


def test_costs_are_medians_of_rounds_and_their_ratio_is_within_one():
    spent_us = {("pipeline", 1): 50.0, ("bare_loop", 1): 40.0, ("pipeline", 2): 90.0, ("bare_loop", 2): 60.0}
    runs = [
        ContenderRun(*of, msgspec.structs.replace(run_of(10), cpu_us={"all": us}), 1.0, same_digest=True)
        for of, us in spent_us.items()
    ]
    assert throughput.cpu_us(runs) == {"pipeline": 70.0, "bare_loop": 50.0}
    assert throughput.ratios(runs, lambda run: run.event_us) == {"bare_loop": Ratio(1.375, 1.25, 1.5)}


def test_a_report_has_its_ratios_by_name_when_written_and_reads_back():
    written = msgspec.json.encode(report(ratios={"bare_loop": 0.5}))
    assert json.loads(written)["ratios"] == {"bare_loop": 0.5}
    assert msgspec.json.decode(written, type=Report).ratios == {"bare_loop": 0.5}


def test_memory_is_taken_only_from_what_an_earlier_run_wrote(tmp_path: Path):
    file = tmp_path / "hour.json"
    file.write_bytes(msgspec.json.encode(report(memory=Memory([0.0, 5.0], {"ingest": [70.0, 71.0]}))))
    memory = commands.read(file).memory
    assert memory
    assert memory.resident_mib == {"ingest": [70.0, 71.0]}
    file.write_text("no report")
    with pytest.raises(typer.BadParameter, match=r"hour\.json"):
        commands.read(file)


@pytest.mark.parametrize(
    "toml", [varied.heavy(300.0), varied.waiting(), varied.first(1), varied.first(7), shards.strategies()]
)
def test_the_strategies_of_each_variation_can_be_built(tmp_path: Path, toml: str):
    file = tmp_path / "strategies.toml"
    file.write_text(toml)
    assert registry.build(configuration.read(file))


# Meters


def test_a_meter_counts_cpu_and_no_waiting(tmp_path: Path):
    meter = metered.Meter(tmp_path)
    meter.wrap(lambda: threading.Event().wait(0.05), "commit")()
    meter.wrap(lambda: sum(range(1_000_000)), "decode")()
    counted_ns = metered.read_ns(tmp_path)
    assert 0 < counted_ns["commit"] < 25e6
    assert counted_ns["decode"] > 1e6


async def test_a_meter_counts_what_a_coroutine_does_between_its_waits(tmp_path: Path):
    """Results and exceptions of the coroutine stay as they are."""

    async def refused() -> None:
        await asyncio.sleep(0)
        raise ValueError("mine")

    async def work(rounds: int) -> int:
        await asyncio.wait({asyncio.ensure_future(asyncio.sleep(0.05))})
        with pytest.raises(ValueError, match="mine"):
            await asyncio.ensure_future(refused())
        return sum(range(rounds))

    meter = metered.Meter(tmp_path)
    # Little work, so that its time is that of the wait on no machine.
    assert await meter.wrap(work, "enqueue")(200_000) == sum(range(200_000))
    assert 2e5 < metered.read_ns(tmp_path)["enqueue"] < 45e6


def test_everything_that_is_to_be_metered_is_there():
    for target in metered.INGEST | metered.WORKER:
        module, _, path = target.partition(":")
        assert callable(operator.attrgetter(path)(importlib.import_module(module)))


def test_what_one_process_counts_another_one_reads(tmp_path: Path):
    writer, reader = (Counters(tmp_path / "counted", ["a", "b"]) for _ in range(2))
    writer.add("b", 3)
    assert (reader["a"], reader["b"]) == (0, 3)
