"""The command line behind `./run soak`."""

import secrets
import signal
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tasks.cli import command_line
from tests.data import RECORDING
from tests.soak.soak import Options, Outcome, Soak

app = command_line.top(rich_markup_mode=None)


@app.callback()
def _main() -> None:
    """Run the pipeline for hours under random faults."""


@app.command("soak")
def _soak(
    *,
    hours: Annotated[float, typer.Option(min=0.01, help="Hours of event time.")] = 12.0,
    pace: Annotated[float, typer.Option(min=0.1, help="So many times as fast as recorded.")] = 12.0,
    check_minutes: Annotated[float, typer.Option(min=0.1, help="Minutes from one comparison to the next.")] = 10.0,
    frames_per_second: Annotated[
        float | None, typer.Option("--frames-per-second", min=1, help="At most; frames of the recording are left out.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Which faults; a random one if left out.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 3,
    recording: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, show_default="the project's", help="Books and trades.")
    ] = RECORDING,
    json_file: Annotated[Path | None, typer.Option("--json", dir_okay=False, help="Write the results here.")] = None,
) -> None:
    """Feed a real pipeline for hours of event time, cause every fault of the suite at random, and compare.

    NATS with a stream, Valkey, two ingest processes and the workers run on this machine. A recording is published again
    and again with later times and higher ids. Every few minutes the feed pauses and the digest of all signals, records
    and paper accounts is compared with that of one process that read the same frames. Memory, descriptors, threads and
    keys must be flat: in the last third not above the middle one. The exit status is 1 where something does not hold, and
    the logs are kept. Ctrl-C ends it with the results so far.
    """
    seed = secrets.randbelow(2**32) if seed is None else seed
    # Whoever ends it by SIGTERM gets the results as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    command_line.echo(f"seed {seed}")
    options = Options(hours, pace, check_minutes, frames_per_second, seed, recording, workers)
    began_s = time.monotonic()

    def say(line: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - began_s), 60)
        command_line.echo(f"{minutes // 60}:{minutes % 60:02}:{seconds:02}  {line}")

    outcome = Soak(options, say).run()
    if json_file:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(outcome)) + b"\n")
    _report(outcome)
    raise typer.Exit(int(outcome.violation is not None))


def _report(outcome: Outcome) -> None:
    for name, times in outcome.faults.items():
        command_line.echo(f"{times:5}  {name}")
    command_line.echo(f"{'':36}{'least':>10}{'most':>10}{'thirds':>10}")
    for name, each in outcome.samples.items():
        numbers = (each.least, each.most, each.first, each.middle, each.last)
        command_line.echo(
            f"{name:36}{''.join(f'{number:10,.1f}' for number in numbers)}{'' if each.flat else '  grows'}"
        )
    ended = "interrupted after " if outcome.interrupted else ""
    command_line.echo(
        f"{ended}{outcome.minutes:g} minutes: {outcome.event_hours:g} h of event time, {outcome.frames:,} frames, "
        f"{sum(outcome.faults.values())} faults ({len(outcome.faults)} of {outcome.fault_kinds} kinds), "
        f"longest recovery {outcome.longest_recovery_s:g} s, {outcome.resends} resends, {outcome.fenced} fenced, "
        f"{len(outcome.checks)} checks equal"
    )
    if outcome.violation:
        command_line.echo(f"violation: {' '.join(outcome.violation.split())}; logs: {outcome.logs}")
