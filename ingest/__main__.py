"""The command line of ingest: the service, the feeds that put frames on NATS, and the recorder."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from tasks import invocation
from tasks.cli import command_line, files
from tasks.errors import RealtimeStrategiesError, SettingsError
from tasks.settings import Settings, load
from tasks.telemetry import terminal
from tasks.telemetry.logs import configure_logging, log_hints

app = command_line.top(rich_markup_mode="markdown")

VenueOption = Annotated[Literal["spot", "usdm"], typer.Option(help="The market: spot, or USD-M futures.")]
SecondsOption = Annotated[
    float | None, typer.Option(min=0.001, help="Stop after so many seconds.", show_default="never")
]


@contextmanager
def _told_in_one_line(role: str = "feed") -> Iterator[Settings]:
    """Yield the settings; what goes wrong is one line on standard error and exit status 1."""
    try:
        settings = load()
        configure_logging(settings, role)
        log_hints(settings)
        yield settings
    except RealtimeStrategiesError as error:
        command_line.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


@app.callback(invoke_without_command=True)
def service(context: typer.Context) -> None:
    """Without a command: run the ingest service. It takes frames from NATS_URL and passes them on to the workers.

    The commands are feeds, which put frames on NATS, and `record`, which writes them down. All of them, like the
    service, are set up by environment variables; `./run tasks config show` lists them.
    """
    if context.invoked_subcommand is None:
        with _told_in_one_line("ingest") as settings:
            from ingest.service import run  # noqa: PLC0415 feeds need none of it

            raise typer.Exit(run(settings))


@app.command()
def simulate(
    symbols: Annotated[
        str, typer.Option(help="Names with commas between, or how many symbols.", show_default="six")
    ] = "6",
    venue: VenueOption = "spot",
    rate: Annotated[
        float | None,
        typer.Option(min=0.1, max=1e6, help="Events a second, on average.", show_default="the market's own pace"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Make the same market each time: the same ids, prices, sizes and order. Only the times are those of the "
            "clock. Its ids begin at the same number, so a second one within a minute is all repeats to a ledger that has "
            "seen the first."
        ),
    ] = None,
    seconds: SecondsOption = None,
) -> None:
    """Put a simulated market on NATS: trades and books in Binance's exact bytes.

    Example: ./run ingest simulate --symbols BTCUSDT,ETHUSDT --rate 500 --seconds 60
    """
    with _told_in_one_line() as settings:
        from ingest.feeds import run_feed, stream_plan  # noqa: PLC0415 each command loads only its own
        from ingest.feeds import simulate as feed  # noqa: PLC0415 the same
        from ingest.feeds.simulator import profiles  # noqa: PLC0415 the same

        if re.fullmatch(r"\d+", symbols):
            if not 1 <= int(symbols) <= 10_000:
                raise SettingsError("--symbols takes names, or a number from 1 to 10000")
            names = profiles.symbols(int(symbols))
        else:
            names = stream_plan.choose(venue).check(symbols.split(","))
        run_feed.run(feed.simulate(settings, feed.SimulationPlan(names, venue, rate, seed, seconds)))


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise SettingsError(f"--speed takes a number above 0, or max, not {text!r}")
    return speed


@app.command()
def replay(
    files: Annotated[
        list[Path],
        typer.Argument(
            callback=command_line.standard_input, help="Recordings; several are merged by the time of receipt."
        ),
    ],
    speed: Annotated[
        str, typer.Option(help="How many times as fast as it was recorded, or max: as fast as ingest takes it.")
    ] = "1",
    *,
    symbol: files.Symbols = "",
    venue: files.VenueName = "",
    salvage: Annotated[bool, typer.Option("--salvage", help="Use the readable part of a damaged recording.")] = False,
) -> None:
    """Put recordings on NATS again, their bytes unchanged.

    Waits while ingest holds too much. Refuses when the ledger is already past a file: ingest would drop all of it
    as repeats.

    Example: ./run ingest replay monday.jsonl.gz --speed 20
    """
    with _told_in_one_line() as settings:
        pace = _speed(speed)
        from ingest.feeds import replay as feed  # noqa: PLC0415 each command loads only its own
        from ingest.feeds import run_feed  # noqa: PLC0415 the same
        from tasks.history import input_options  # noqa: PLC0415 the same
        from tasks.ledger.past_events import is_past  # noqa: PLC0415 the same

        chosen = input_options.options(symbol, venue)
        past = partial(is_past, settings)
        run_feed.run(feed.replay(settings, files, pace, past, chosen, salvage=salvage))


@app.command()
def binance(
    symbols: Annotated[list[str], typer.Argument(help="Such as BTCUSDT ETHUSDT.")],
    streams: Annotated[
        str | None,
        typer.Option(
            help="Which streams, with commas between: depth20, trade, aggTrade, bookTicker, kline_1m (or another interval), "
            "and of futures markPrice and forceOrder.",
            show_default="depth20,trade",
        ),
    ] = None,
    venue: Annotated[
        Literal["spot", "usdm", "coinm"], typer.Option(help="The market: spot, USD-M or COIN-M futures.")
    ] = "spot",
    books: Annotated[
        Literal["top", "diff"],
        typer.Option(help="The exchange's partial books, or books kept from its diff depth and snapshots."),
    ] = "top",
    levels: Annotated[
        int | None,
        typer.Option(help="Levels of a book's side: 5, 10 or 20; with --books diff also 50 or 100.", show_default="20"),
    ] = None,
) -> None:
    """Put Binance's live public market data on NATS; no account needed.

    Example: ./run ingest binance BTCUSDT ETHUSDT --books diff --levels 50

    Example: ./run ingest binance BTCUSDT --venue usdm --streams depth20,aggTrade,markPrice,forceOrder
    """
    with _told_in_one_line() as settings:
        from ingest.feeds import binance as feed  # noqa: PLC0415 each command loads only its own
        from ingest.feeds import run_feed, stream_plan  # noqa: PLC0415 the same

        run_feed.run(feed.binance(settings, symbols, stream_plan.choose(venue, streams, books, levels)))


@app.command()
def ccxt(
    exchange: Annotated[str, typer.Argument(help="As ccxt names it: kraken, okx, bybit ...")],
    symbols: Annotated[list[str], typer.Argument(help="Such as BTC/USD ETH/USD.")],
    *,
    kinds: Annotated[str, typer.Option(help="trade, depth, or both with a comma between.")] = "trade,depth",
    levels: Annotated[int, typer.Option(min=1, max=100, help="Of each side of a book.")] = 20,
    book_interval_ms: Annotated[int, typer.Option(min=0, help="Least time between two books of a symbol.")] = 100,
    config: Annotated[
        Path | None, typer.Option(help="JSON for ccxt: options, urls, proxies.", show_default="none")
    ] = None,
) -> None:
    """Put live trades and order books of any exchange that ccxt watches on NATS, as venue-neutral frames.

    Ingest has to listen to them: NATS_SUBJECTS="binance.>,market.>". ccxt has an environment of its own, which
    `./run ingest ccxt` sets up.

    Example: ./run ingest ccxt kraken BTC/USD ETH/USD
    """
    with _told_in_one_line() as settings:
        if find_spec("ccxt") is None:
            raise SettingsError(
                "ccxt is not installed here: ./run ingest ccxt sets it up, or into an environment of its own: "
                "pip install --require-hashes -r ingest/feeds/ccxt_bridge/requirements.txt"
            )
        from ingest.feeds import run_feed  # noqa: PLC0415 each command loads only its own
        from ingest.feeds.ccxt_bridge import bridge as feed  # noqa: PLC0415 the same
        from ingest.feeds.ccxt_bridge.exchange import kinds as kinds_of  # noqa: PLC0415 the same

        plan = feed.BridgePlan(exchange, symbols, kinds_of(kinds), levels, book_interval_ms, config)
        run_feed.run(feed.bridge(settings, plan))


@app.command()
def schema() -> None:
    """Print the JSON Schema of a venue-neutral frame, by which anybody can publish any market.

    Such a frame is JSON on `market.<venue>.<kind>.<symbol>`; docs/feeds.md has the rules and an example.
    """
    from tasks.frames import neutral  # noqa: PLC0415 the same

    command_line.echo_json(neutral.schema(), indent=2)


@app.command()
def record(
    file: Annotated[Path, typer.Argument(help="Where to write; gzipped when the name ends in .gz.")],
    seconds: SecondsOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,  # noqa: FBT002 a command-line switch
) -> None:
    """Write the frames on NATS into a recording, until Ctrl-C or for some seconds.

    With INGEST_SOURCE=jetstream it reads them from the stream, as ingest does.

    Example: ./run ingest record monday.jsonl.gz --seconds 3600
    """
    with _told_in_one_line() as settings:
        from ingest.feeds import record as feed  # noqa: PLC0415 each command loads only its own
        from ingest.feeds import run_feed  # noqa: PLC0415 the same

        run_feed.run(feed.record(settings, file, seconds=seconds, force=force))


@app.command()
def convert(  # noqa: PLR0913 each argument is an option of the command line
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="files",
            callback=command_line.standard_input,
            help="Recordings, or files of Binance's public data, Tardis or hftbacktest, packed or not; several are "
            "merged by time.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The recording to write; packed when its name ends in .gz, .zst or .xz.")],
    *,
    symbol: files.Symbols = "",
    venue: files.VenueName = "",
    begin: files.Begin = "",
    end: files.End = "",
    book_interval_ms: files.BookInterval = 100,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Make one recording of files of market data.

    What can't be used is counted by reason. Of a damaged file the readable part is used; the exit status is 3 then.

    Example: ./run ingest convert BTCUSDT-trades-2024-08-08.zip --out btc.jsonl.gz
    """
    with _told_in_one_line():
        from ingest.feeds import convert as feed  # noqa: PLC0415 each command loads only its own
        from tasks.history import input_options  # noqa: PLC0415 the same

        chosen = input_options.options(symbol, venue, begin, end, book_interval_ms)
        result = feed.convert(
            paths, out, chosen, lambda text: command_line.echo(f"warning: {text}", err=True), force=force
        )
        skipped = ", ".join(f"{kind} {count:,}" for kind, count in sorted(result.skipped.items()))
        command_line.echo(f"{out}: {result.lines:,} lines{skipped and f'; of kinds that are skipped: {skipped}'}")
        if result.is_damaged:
            raise typer.Exit(files.DAMAGED)


@app.command()
def move_ledger(
    old: Annotated[str, typer.Option("--from", help="URLs as they were.", show_default="LEDGER_FROM")] = "",
    reason: Annotated[str, typer.Option(help="Why; kept until it is done.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,  # noqa: FBT002 the same
) -> None:
    """Move the ledger to the Redis of LEDGER_URL, or those of LEDGER_URLS, while all shards are stopped.

    Ended at any point, it goes on when called again; until it is done, ingest does not start. Run one at a time.

    Example: ./run ingest move-ledger --from redis://one:6379 --reason "growth"
    """
    with _told_in_one_line() as settings:
        from ingest.ledger_move import command  # noqa: PLC0415 feeds need none of it

        command.run(settings, old, reason, yes=yes)


if __name__ == "__main__":
    terminal.accept_any_text()
    app(prog_name=invocation.command("ingest"))
