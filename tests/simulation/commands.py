"""The command line behind `./run sim`."""

import gc
import multiprocessing
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from itertools import chain, count
from typing import Annotated

import typer

from tasks.cli import command_line
from tests.simulation.planted import FOUND_BY, PLANTED, planted
from tests.simulation.simulation import Outcome, simulate

app = command_line.top(rich_markup_mode=None)

#: Seeds that nobody asked for are chosen from here on.
_CHOSEN_FROM = 1_000_000
#: How many seeds a process is given at a time: at the end, one waits so long for the others.
_CHUNK = 4


@app.callback()
def _main() -> None:
    """Simulate the protocol in virtual time."""


@app.command("sim")
def _sim(
    *,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds.")] = 2_000,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="For how long, instead.")] = None,
    first: Annotated[int | None, typer.Option(min=0, help="The first seed; a random one if it is left out.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="This seed only, with everything that happens.")] = None,
    without_actions: Annotated[
        bool, typer.Option("--without-actions", help="Nobody does anything meanwhile, as in the oldest known seeds.")
    ] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="How many processes; one a core if left out.")] = None,
    plant: Annotated[bool, typer.Option("--planted", help="Plant bugs, and say which seed finds each.")] = False,
) -> None:
    """Run the protocol in virtual time: lanes, sender, sources, relay, workers and Lua scripts are the real ones.

    A seed decides the frames, the order in which processes go on, and what goes wrong. The last line has the counts; the
    exit status is 1 where something was violated.
    """
    if seed is not None:
        raise typer.Exit(_report([simulate(seed, keep_trace=True, operated=not without_actions)]))
    if plant:
        raise typer.Exit(_find_planted(seeds))
    first = secrets.randbelow(2**40) + _CHOSEN_FROM if first is None else first
    command_line.echo(f"seeds from {first} on")
    processes = jobs or len(os.sched_getaffinity(0))
    # Forked: to start one afresh takes as long as twenty seeds, and nothing ran here before.
    with multiprocessing.get_context("fork").Pool(processes, _collect_less_garbage) as pool:
        wanted = range(first, first + seeds) if minutes is None else count(first)
        outcomes = (
            pool.imap(simulate, wanted, _CHUNK) if minutes is None else _without_end(pool, wanted, 10 * processes)
        )
        raise typer.Exit(_report(_until(outcomes, minutes)))


def _collect_less_garbage() -> None:
    """Have the garbage collector leave what was imported alone, and come less often: a tenth of the CPU."""
    gc.collect()
    gc.freeze()
    # Often enough that what it looks at is still in a cache.
    gc.set_threshold(2_000, 20, 20)


def _without_end(pool: "multiprocessing.pool.Pool", wanted: Iterable[int], at_once: int) -> Iterator[Outcome]:
    """Yield outcomes of seeds without an end: `imap` would take all of them at once."""
    seeds = iter(wanted)
    while True:
        yield from pool.map(simulate, [next(seeds) for _ in range(at_once)], 5)


def _until(outcomes: Iterator[Outcome], minutes: float | None) -> Iterator[Outcome]:
    began_s = time.monotonic()
    for outcome in outcomes:
        yield outcome
        if minutes is not None and time.monotonic() - began_s > minutes * 60:
            return


def _report(outcomes: Iterable[Outcome]) -> int:
    seeds = events = faults = own_tasks = violations = 0
    began_s = time.monotonic()
    for outcome in outcomes:
        seeds, events, faults = seeds + 1, events + outcome.events, faults + outcome.faults
        own_tasks += outcome.own_tasks
        # Of several that fail the first one tells most.
        for line in outcome.trace if violations == 0 else ():
            command_line.echo(line)
        if outcome.violation:
            violations += 1
            command_line.echo(f"seed {outcome.seed}: {outcome.violation}")
    took_s = time.monotonic() - began_s
    command_line.echo(
        f"{seeds:,} {'seed' if seeds == 1 else 'seeds'}, {events:,} events, {faults:,} faults, "
        f"{own_tasks:,} tasks to single workers, {violations:,} violations, {took_s:,.0f} s"
    )
    return int(violations > 0)


def _find_planted(seeds: int) -> int:
    """Look for each planted bug, with the seed that is known to find it first; return 1 where one is not found."""
    missed = 0
    for name in PLANTED:
        known, operated = FOUND_BY[name]
        with planted(name):
            outcomes = chain([simulate(known, operated=operated)], map(simulate, range(seeds)))
            found = next((each for each in outcomes if each.violation.startswith("Violation: ")), None)
        missed += found is None
        says = f"seed {found.seed}: {found.violation}" if found else f"not found in {seeds:,} seeds"
        command_line.echo(f"{name}: {says}")
    return int(missed > 0)
