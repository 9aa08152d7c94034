"""`./run tasks deliver webhook` and its kind: a process that takes signals to a receiver."""

import re
from collections.abc import Callable
from typing import Annotated, Literal, get_args

import typer

from tasks.cli import entry_listing
from tasks.deliver import DeliveryOptions, run
from tasks.deliver.selection import Selection
from tasks.deliver.sinks import Sink
from tasks.deliver.sinks.discord import DiscordSink
from tasks.deliver.sinks.nats import Dialect, NatsSink
from tasks.deliver.sinks.stdout import StdoutSink
from tasks.deliver.sinks.telegram import TelegramSink
from tasks.deliver.sinks.webhook import WebhookSink
from tasks.deliver.template import DEFAULT, Template
from tasks.errors import SettingsError
from tasks.ops.entry_filters import SignalFilter, strategy_names, symbol_spellings
from tasks.settings import Settings, load
from tasks.strategy import Action

app = typer.Typer()

Name = Annotated[
    str, typer.Option(help="The position is kept under this name; one process at a time delivers under it.")
]
From = Annotated[
    Literal["now", "start"],
    typer.Option(
        "--from", help="Where a new name begins: with the next signal, or with the first that the stream holds."
    ),
]
Actions = Annotated[
    list[str] | None, typer.Option("--action", help=f"Only this of {', '.join(get_args(Action))}; repeatable.")
]
Confidence = Annotated[float, typer.Option(min=0, max=1, help="Only signals with at least this confidence.")]
Rate = Annotated[float, typer.Option(min=0, help="At most so many messages a second; 0: any number.")]
Text = Annotated[
    str,
    typer.Option("--template", help="The text, with {symbol} and other fields of signals; docs/operations/deliver.md."),
]
Timeout = Annotated[float, typer.Option("--timeout", min=0.01, help="Seconds that the receiver may take to answer.")]

_NAME = re.compile(r"[\w-]{1,64}", re.ASCII)


@app.command()
def stdout(
    *,
    name: Name = "stdout",
    start: From = "now",
    strategy: entry_listing.Strategies = None,
    symbol: entry_listing.Symbols = None,
    action: Actions = None,
    min_confidence: Confidence = 0.0,
    rate: Rate = 0.0,
) -> None:
    """Write signals to standard output, a line of JSON each, for another program.

    Example: ./run tasks deliver stdout --name archive --from start >> signals.jsonl
    """
    options = _options("stdout", name, start, _selection(strategy, symbol, action, min_confidence), rate)
    _deliver(options, lambda _: StdoutSink())


@app.command()
def webhook(  # noqa: PLR0913 each argument is an option of the command line
    *,
    name: Name = "webhook",
    start: From = "now",
    strategy: entry_listing.Strategies = None,
    symbol: entry_listing.Symbols = None,
    action: Actions = None,
    min_confidence: Confidence = 0.0,
    rate: Rate = 0.0,
    timeout_s: Timeout = 10.0,
) -> None:
    """Post signals to DELIVER_WEBHOOK_URL, signed with DELIVER_WEBHOOK_SECRET as standardwebhooks.com says.

    Example: DELIVER_WEBHOOK_URL=https://example.com/signals DELIVER_WEBHOOK_SECRET_FILE=secret ./run tasks deliver webhook --min-confidence 0.7
    """
    options = _options("webhook", name, start, _selection(strategy, symbol, action, min_confidence), rate)
    _deliver(options, lambda settings: WebhookSink(settings, timeout_s))


@app.command()
def telegram(  # noqa: PLR0913 each argument is an option of the command line
    *,
    name: Name = "telegram",
    start: From = "now",
    strategy: entry_listing.Strategies = None,
    symbol: entry_listing.Symbols = None,
    action: Actions = None,
    min_confidence: Confidence = 0.0,
    rate: Rate = 1.0,
    template: Text = DEFAULT,
    timeout_s: Timeout = 10.0,
) -> None:
    """Send a message about each signal to the chat DELIVER_TELEGRAM_CHAT, as the bot of DELIVER_TELEGRAM_TOKEN.

    Telegram takes about one message a second in a chat, and 20 a minute in a group: --rate 0.33.

    Example: DELIVER_TELEGRAM_TOKEN_FILE=token DELIVER_TELEGRAM_CHAT=-1001234567890 ./run tasks deliver telegram
    """
    options = _options("telegram", name, start, _selection(strategy, symbol, action, min_confidence), rate)
    _deliver(options, lambda settings: TelegramSink(settings, Template(template), timeout_s))


@app.command()
def discord(  # noqa: PLR0913 each argument is an option of the command line
    *,
    name: Name = "discord",
    start: From = "now",
    strategy: entry_listing.Strategies = None,
    symbol: entry_listing.Symbols = None,
    action: Actions = None,
    min_confidence: Confidence = 0.0,
    rate: Rate = 0.5,
    template: Text = DEFAULT,
    timeout_s: Timeout = 10.0,
) -> None:
    """Send a message about each signal to the channel of the webhook DELIVER_DISCORD_URL.

    Example: DELIVER_DISCORD_URL_FILE=url ./run tasks deliver discord --template "**{action} {symbol}** at {price:.2f}"
    """
    options = _options("discord", name, start, _selection(strategy, symbol, action, min_confidence), rate)
    _deliver(options, lambda settings: DiscordSink(settings, Template(template), timeout_s))


@app.command()
def nats(  # noqa: PLR0913 each argument is an option of the command line
    *,
    name: Name = "nats",
    start: From = "now",
    strategy: entry_listing.Strategies = None,
    symbol: entry_listing.Symbols = None,
    action: Actions = None,
    min_confidence: Confidence = 0.0,
    rate: Rate = 0.0,
    dialect: Annotated[Dialect, typer.Option(help="As `schema` prints it, or as petrosa's services take it.")] = "ours",
    revisions: Annotated[
        bool, typer.Option("--revisions", help="With --dialect petrosa: name the revision of each signal's strategy.")
    ] = False,
    timeout_s: Timeout = 5.0,
) -> None:
    """Publish signals on DELIVER_NATS_SUBJECT, beside what ingest publishes: with filters, or on another server.

    Where a stream takes the subject, a signal is delivered once the stream has it.

    Example: DELIVER_NATS_SUBJECT=alerts.{strategy}.{symbol} ./run tasks deliver nats --min-confidence 0.9
    """
    options = _options("nats", name, start, _selection(strategy, symbol, action, min_confidence), rate)
    _deliver(options, lambda settings: NatsSink(settings, timeout_s, dialect, revisions=revisions))


def _selection(
    strategy: list[str] | None, symbol: list[str] | None, action: list[str] | None, min_confidence: float
) -> Selection:
    if unknown := set(action or ()) - set(get_args(Action)):
        raise SettingsError(f"--action takes {', '.join(get_args(Action))}, not {', '.join(sorted(unknown))}")
    names = SignalFilter(strategy_names(strategy, {}), symbol_spellings(symbol), frozenset(action or ()))
    return Selection(names, min_confidence)


def _options(
    kind: str, name: str, start: Literal["now", "start"], selection: Selection, rate: float
) -> DeliveryOptions:
    if not _NAME.fullmatch(name):
        raise SettingsError("--name takes letters, digits, - and _, at most 64")
    return DeliveryOptions(kind, name, start, selection, rate)


def _deliver(options: DeliveryOptions, make_sink: Callable[[Settings], Sink]) -> None:
    settings = load()
    raise typer.Exit(run(settings, options, lambda: make_sink(settings)))
