"""`./run tasks strategies history|rollback`: what was changed, and back."""

from typing import Annotated, Any

import msgspec
import typer

from tasks.cli import command_line
from tasks.cli.command_line import AsJson
from tasks.cli.strategies.live_configuration import Author, Reason, author_or_you, out, show_change
from tasks.configuration.edits import KeyDifference
from tasks.configuration.history import ConfigurationChange
from tasks.errors import SettingsError
from tasks.ledger.configurations import ConfigurationStore
from tasks.settings import load
from tasks.telemetry.terminal import one_line

app = typer.Typer()

#: How many lines of a change are shown without `--diff`.
SHORT = 3


@app.command()
def history(
    *,
    diff: Annotated[bool, typer.Option("--diff", help="Every key that a change touched, however many.")] = False,
    as_json: AsJson = False,
) -> None:
    """List every change: version, when (UTC), who, why, and what: old → new; the last is in force."""
    store = ConfigurationStore(load())
    for change, differences in store.changes.differences(store.history()):
        if as_json:
            command_line.echo_json(_facts(change, differences))
            continue
        out.print(one_line(f"{change.version}  {change.at}  {change.author}  {change.reason}".rstrip()))
        if differences is None:
            if change.previous:
                out.print("    the ledger can't tell what it changed")
            continue
        shown = differences if diff or len(differences) <= SHORT + 1 else differences[:SHORT]
        for each in shown:
            out.print(one_line(f"    {each}"))
        if not differences:
            out.print("    what is in force stayed the same")
        if len(shown) < len(differences):
            out.print(f"    and {len(differences) - len(shown)} more: --diff")


def _facts(change: ConfigurationChange, differences: list[KeyDifference] | None) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(change)
    return facts | {"changes": [each._asdict() for each in differences or ()]}


@app.command()
def rollback(
    version: Annotated[str, typer.Argument(help="The same as --to.")] = "",
    *,
    to: Annotated[
        str, typer.Option(help="A version from `history`: all that was set at run time as it was then.")
    ] = "",
    reason: Reason = "",
    author: Author = "",
) -> None:
    """Undo the newest change at run time that is in force and not undone yet; again: the one before it.

    Edits of the strategies file are not undone here: today's file stays below whatever was set at run time.
    """
    if version and to and version != to:
        raise SettingsError(f"to {version} or to {to}? one version only")
    result, undone = ConfigurationStore(load()).rollback(version or to, reason, author_or_you(author))
    if undone is not None:
        out.print(one_line(f"undoes {undone.version}: {undone.at}, {undone.author} {undone.reason}".rstrip()))
    show_change(result)
