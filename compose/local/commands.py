"""The command line behind `./run demo`."""

import math
import os
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

import typer

from compose.local import demo, recorder
from compose.local.screen import Screen
from compose.local.stack import Plan
from ingest.feeds.replay import survey
from tasks.cli import command_line
from tasks.cli.files import VenueName
from tasks.errors import RealtimeStrategiesError
from tasks.history import input_options
from tasks.history.input_report import SalvageReport
from tasks.history.recordings import STRICT

app = command_line.top(rich_markup_mode=None)


@app.callback()
def _main() -> None:
    """Run the whole system on this machine."""


Feed = Annotated[
    list[str] | None,
    typer.Option(
        help="Where frames come from: simulate (default), binance (live, needs the internet), or a recording or another "
        "file that `./run ingest convert` reads; repeat it for several files."
    ),
]
Symbol = Annotated[
    str,
    typer.Option(help="Of files only these, with commas between; a single one is also that of files that name none."),
]
Speed = Annotated[str, typer.Option(help="How fast a recording is replayed: 20 is twenty times real time; max.")]
Salvage = Annotated[bool, typer.Option("--salvage", help="Replay the readable part of a damaged recording.")]
Seconds = Annotated[
    float,
    typer.Option(
        min=0,
        show_default=False,
        help="Stop after so many seconds; without it at the end of the recording, or at Ctrl-C.",
    ),
]
Workers = Annotated[int, typer.Option(min=1, max=64, help="Number of Celery worker processes.")]
Pool = Annotated[Literal["prefork", "solo"], typer.Option(help="Celery's pool in each worker.")]
Partitions = Annotated[int | None, typer.Option(min=1, max=1024, help="Lanes of each pool; default: as configured.")]
Source = Annotated[
    Literal["core", "jetstream"],
    typer.Option(help="How ingest reads from NATS: as it comes, or from a stream that keeps it."),
]
Record = Annotated[
    Path | None,
    typer.Option(
        help="Write the frames into a new recording too; gzipped when its name ends in .gz.", show_default=False
    ),
]
FlowerPort = Annotated[int | None, typer.Option(min=1, max=65_535, help="Port of the dashboard; default: a free one.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object, the summary; all else goes to standard error.")
]


@app.command("demo")
def _demo(  # noqa: PLR0913 each is an option of the command
    *,
    feed: Feed = None,
    speed: Speed = "1",
    symbol: Symbol = "",
    venue: VenueName = "",
    salvage: Salvage = False,
    seconds: Seconds = math.inf,
    workers: Workers = 2,
    pool: Pool = "prefork",
    partitions: Partitions = None,
    source: Source = "core",
    record: Record = None,
    flower_port: FlowerPort = None,
    as_json: AsJson = False,
) -> None:
    """Start NATS, Valkey, ingest, workers, Flower and a feed; show signals as they come, then a summary.

    Everything listens on free ports of 127.0.0.1 and is gone at the end. Examples:

    ./run demo --seconds 20

    ./run demo --feed tests/data/recording.jsonl.gz --speed max --workers 4
    """
    files = _recordings(feed or [])
    record = record and record.absolute()
    try:
        if record:
            recorder.check(record)
        request = demo.Request(
            plan=Plan(workers, pool, partitions, _environment(source, replays=bool(files))),
            feed=_feed(feed or ["simulate"], files, speed, {"--symbol": symbol, "--venue": venue}, salvage=salvage),
            seconds=seconds,
            flower_port=flower_port,
            record=record,
        )
        raise typer.Exit(demo.run(request, Screen(as_json=as_json)))
    except RealtimeStrategiesError as error:
        command_line.Console(stderr=True).print(f"error: {error}", soft_wrap=True)
        raise typer.Exit(1) from None


def _recordings(names: list[str]) -> list[Path]:
    if not names or names[0] in {"simulate", "binance"}:
        return []
    return [path.absolute() for path in command_line.standard_input([*map(Path, names)])]


def _environment(source: str, *, replays: bool) -> dict[str, str]:
    environment = {"INGEST_SOURCE": source} | ({"SIGNAL_MAX_AGE_S": "0"} if replays else {})
    if source == "jetstream":
        # Its end is that everything stored is read; a second Ctrl-C does not wait.
        environment["INGEST_DRAIN_S"] = os.environ.get("INGEST_DRAIN_S", "600")
    return environment


def _feed(names: list[str], files: list[Path], speed: str, said: dict[str, str], *, salvage: bool) -> list[str]:
    """Return the arguments of the feed; `said` is what the files themselves don't say, by its option."""
    given = {option: value for option, value in said.items() if value}
    if files:
        return _replay(files, speed, given, salvage=salvage)
    return _live(names, ["--speed"] * (speed != "1") + ["--salvage"] * salvage + [*given])


def _replay(files: list[Path], speed: str, given: dict[str, str], *, salvage: bool) -> list[str]:
    """Return the arguments of a replay. Raises what it would raise itself, before anything is started."""
    if speed != "max":
        try:
            usable = 0 < float(speed) < math.inf
        except ValueError:
            usable = False
        if not usable:
            raise RealtimeStrategiesError(f"--speed {speed}: a number above 0, or max")
    chosen = input_options.options(given.get("--symbol", ""), given.get("--venue", ""))
    survey(files, SalvageReport() if salvage else STRICT, chosen)  # The replay tells of the damage.
    return ["replay", *map(str, files), "--speed", speed, *chain(*given.items()), *(["--salvage"] if salvage else [])]


def _live(feeds: list[str], of_recordings: list[str]) -> list[str]:
    """Return the arguments of a feed that reads no file. Raises RealtimeStrategiesError: options are for files only."""
    if len(feeds) > 1:
        raise RealtimeStrategiesError("--feed can be repeated for recordings only")
    if of_recordings:
        raise RealtimeStrategiesError(f"{of_recordings[-1]} needs a recording: --feed FILE")
    return ["simulate"] if feeds == ["simulate"] else ["binance", "BTCUSDT", "ETHUSDT"]
