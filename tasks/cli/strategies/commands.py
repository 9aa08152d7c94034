"""`./run tasks strategies`: lists and describes strategies, checks their contract, measures them on recordings."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from tasks import configuration
from tasks.backtest import performance
from tasks.backtest.strategies_page import page
from tasks.bars.spec import parse_all
from tasks.cli import command_line, name_completion
from tasks.cli.strategies import strategy_tables
from tasks.configuration import aliases, catalog, file_schema, registry
from tasks.conformance import suite as checking
from tasks.history.input_report import SalvageReport
from tasks.history.recordings import STRICT
from tasks.settings import frame_limits, load
from tasks.strategy import AnyStrategy, has_bars, methods_of

app = typer.Typer()
out = command_line.Console()
err = command_line.Console(stderr=True)

_SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}

Name = Annotated[
    str,
    typer.Argument(
        help="A built-in strategy's name, the name that signals of one in the strategies file carry, or the import path "
        "of any, module:Class.",
        autocompletion=name_completion.strategies,
    ),
]


@app.command("list")
def list_strategies(
    *,
    counts: Annotated[
        bool,
        typer.Option(
            "--counts", help="Instead of what they do: what the live pipeline counted, since the ledger began."
        ),
    ] = False,
) -> None:
    """List the built-in strategies and those that the strategies file names, with the pools they run in.

    Example: ./run tasks strategies list --counts
    """
    settings = load()
    chosen = configuration.read(settings.strategies_file)
    command_line.print_table(
        out, strategy_tables.counted(chosen, settings) if counts else strategy_tables.described(chosen)
    )


@app.command()
def schema() -> None:
    """Print the JSON Schema of the strategies file, for an editor: with the parameters of every strategy that `list` shows.

    A line at the top of the file names it: #:schema strategies.schema.json

    Example: ./run tasks strategies schema > strategies.schema.json
    """
    chosen = configuration.read(load().strategies_file)
    known = {each.name: registry.find(each.name) for each in catalog.listed(chosen)}
    command_line.echo_json(file_schema.build(known), indent=2)


def _find(name: str) -> type[AnyStrategy]:
    """Return the class of a strategy. Raises SettingsError: there is none, or several have this name."""
    if ":" in name or name in registry.builtin_names():
        return registry.find(name)
    chosen = configuration.read(load().strategies_file)
    carried = {registry.signal_name(each) for pool in chosen.pools.values() for each in pool.strategies}
    known = carried | set(aliases.by_strategy(chosen).values())
    return registry.find(registry.configured_name(chosen, name) if name in known else name)


@app.command()
def describe(name: Name) -> None:
    """Show what a strategy does, its events, its parameters (default, bounds, meaning), and its bars with the defaults.

    Example: ./run tasks strategies describe iceberg
    """
    found = _find(name)
    out.print(catalog.docstring(found) or "It has no docstring.")
    out.print()
    events = command_line.table("kind of event", "goes to")
    for kind, methods in methods_of(found).items():
        events.add_row(Text(kind, "bold"), ", ".join(methods))
    command_line.print_table(out, events)
    table = command_line.table("parameter", "default", "bounds", "what it is")
    for each in catalog.parameters(found):
        bounds = ", ".join(f"{_SIGNS[word]} {bound:g}" for word, bound in each.bounds.items())
        table.add_row(Text(each.name, "bold"), str(each.default), bounds, each.description)
    out.print()
    command_line.print_table(out, table)
    if has_bars(found):
        out.print()
        out.print(f"bars: {_bars(found)}")


def _bars(found: type[AnyStrategy]) -> str:
    try:
        return ", ".join(each.text for each in parse_all(found.create({}).bars))
    except ValueError as error:
        return str(error)


@app.command()
def check(name: Name) -> None:
    """Run the contract suite on a strategy; the exit status is 1 when a check fails.

    Example: ./run tasks strategies check my_package.my_module:MyStrategy
    """
    # As with `python -m`, a module of the present folder can be named.
    sys.path.insert(0, str(Path.cwd()))
    found = _find(name)
    with err.status(Text(f"checking {name}")):
        result = checking.check(found)
    table = command_line.table("check", "result", "what was seen")
    for finding in result.findings:
        colour = "green" if finding.status == "passed" else "red"
        table.add_row(finding.name, Text(finding.status, colour), finding.detail)
    command_line.print_table(out, table)
    if not result.passed:
        raise typer.Exit(1)


def _warn(text: str) -> None:
    command_line.echo(f"warning: {text}", err=True)


@app.command("report")
def write_report(
    files: Annotated[
        list[Path],
        typer.Argument(
            callback=command_line.standard_input, help="Recordings, .jsonl or .jsonl.gz; each is reported by itself."
        ),
    ],
    salvage: Annotated[bool, typer.Option("--salvage", help="Use the readable part of a damaged recording.")] = False,  # noqa: FBT002 a command-line switch
) -> None:
    """Print docs/strategies.md: definitions, and what each strategy did on each recording.

    Example: ./run tasks strategies report recording.jsonl.gz > docs/strategies.md
    """
    own = load()
    settings, limits = (
        configuration.read(own.strategies_file),
        frame_limits(own),
    )
    tables: dict[str, str] = {}
    with err.status("reading") as status:
        for path in files:
            events = performance.events(path, SalvageReport(_warn) if salvage else STRICT, limits, settings.kinds)
            found = performance.rows(events, settings, lambda text: status.update(Text(text)))
            tables[path.name] = performance.table(events, found)
    sys.stdout.write(page(tables))
