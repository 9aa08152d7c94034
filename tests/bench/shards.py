"""Ingest's shards of a whole exchange, one after the other on this machine: each gets the frames of its own symbols."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from compose.local.servers import free_port
from compose.local.stack import to_toml
from tasks.protocol.routing import ALONE, Shard
from tests.bench import pipelines, runs, systems, varied
from tests.bench.loads import WARM_UP
from tests.bench.mix import Mix
from tests.bench.noise import RoundRatio, Say, most, undisturbed
from tests.bench.pipelines import Setup
from tests.bench.results import Point
from tests.bench.runs import RunUsage
from tests.bench.stacks import strategies_file
from tests.bench.systems import START_S, Pipeline

#: A whole exchange: so many (venue, symbol), with so many events a second in all.
SYMBOLS, PER_S = 2_000, 40_000.0
SHARDS = 4
#: What the run of each is called in the report.
POINT = "shard of four"
#: By which feeds publish frames, and of a pool's lanes.
_FRAME_PARTITIONS, _LANES = 64, 32
#: For the first shard alone, in which ratios are measured; there it uses no whole core, so that nothing has to wait.
_QUIET_PER_S = 4_000.0


def strategies() -> str:
    """Return the shipped strategies file with more lanes, and without pools whose one lane sees all symbols."""
    tables = varied.shipped()
    tables["pools"] = {name: pool for name, pool in tables["pools"].items() if pool.get("key") != "all"}
    for pool in tables["pools"].values():
        pool["partitions"] = _LANES
    return to_toml(tables)


def one_after_the_other(mix: Mix, folder: Path, seconds: float, say: Say) -> Iterator[Point]:
    """Yield a run of each shard, in which its quarter of the events comes. Raises LocalStackError."""
    for number in range(SHARDS):
        shard = Shard(number, SHARDS)
        yield Point(POINT, number, _run(mix, folder, shard, shard, PER_S / SHARDS, seconds, say))


def ratios(mix: Mix, folder: Path, seconds: float, rounds: int, say: Say) -> Iterator[RoundRatio]:
    """Yield ingest's CPU an event in a shard of four over that in the only one, both with one quarter of the symbols."""
    quarter = Shard(0, SHARDS)
    for number in range(rounds):
        order = (quarter, ALONE) if number % 2 else (ALONE, quarter)
        found = {shard: _run(mix, folder, shard, quarter, _QUIET_PER_S, seconds, say) for shard in order}
        ratio = found[quarter].cpu_us["ingest"] / found[ALONE].cpu_us["ingest"]
        yield RoundRatio(ratio, most(run.noise for run in found.values()))


def _run(mix: Mix, folder: Path, shard: Shard, symbols: Shard, rate: float, seconds: float, say: Say) -> RunUsage:
    """Run one shard with the symbols of a quarter."""
    own = Mix(SYMBOLS // SHARDS, mix.originals, symbols)
    setup = Setup(own, environment=_environment(folder, shard))

    def once() -> RunUsage:
        with pipelines.running(setup, 0) as (pipeline, loads):
            if shard.number:
                _start_first(pipeline)
            runs.run(pipeline, loads.next(WARM_UP))
            return runs.run(pipeline, loads.next(round(rate * seconds), rate))

    run = undisturbed(once, lambda each: each.noise, say)
    say(f"shard {shard}: {run}")
    return run


def _start_first(pipeline: Pipeline) -> None:
    """Start the first shard, which gets no frame: it tells the feed how full ingest is. Raises LocalStackError."""
    own = {"INGEST_SHARD": str(Shard(0, SHARDS)), "HTTP_PORT": str(free_port())}
    pipeline.instance.start("first shard", [sys.executable, "-m", "ingest"], {**pipeline.environment, **own})
    systems.follow(pipeline, lambda: systems.answers(pipeline.nats_url), START_S, "the first shard to answer")


def _environment(folder: Path, shard: Shard) -> Mapping[str, str]:
    partitions = {} if shard == ALONE else {"NATS_PARTITIONS": str(_FRAME_PARTITIONS)}
    return {"INGEST_SHARD": str(shard), **partitions, **strategies_file(folder / "shards.toml", strategies())}
