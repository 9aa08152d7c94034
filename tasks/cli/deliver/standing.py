"""`./run tasks deliver list` and `forget`: where each delivery stands."""

from typing import Annotated

import typer

from tasks.cli import command_line
from tasks.cli.command_line import AsJson
from tasks.errors import LedgerError, NotFoundError
from tasks.ledger import delivery_states
from tasks.ledger.reader import LedgerReader
from tasks.protocol.findings import age
from tasks.settings import load

app = typer.Typer()


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List deliveries: whether a process runs, how many signals wait, and how many were sent, passed over, refused or trimmed.

    Example: ./run tasks deliver list
    """
    reader = LedgerReader.reach(load())
    found = delivery_states.read_all(reader.clients, reader.keys)
    if as_json:
        for each in found:
            command_line.echo_json(each)
        return
    heads = ("name", "kind", "process", "waiting", "oldest", "sent", "filtered", "refused", "trimmed", "trouble")
    table = command_line.table(*heads)
    for each in found:
        counts = (each.sent, each.filtered, each.refused, each.trimmed)
        oldest = age(each.oldest_s) if each.waiting else ""
        running = "runs" if each.running else "none"
        table.add_row(
            each.name, each.kind, running, f"{each.waiting:,}", oldest, *(f"{n:,}" for n in counts), each.trouble
        )
    command_line.print_table(command_line.Console(), table)


@app.command()
def forget(
    name: Annotated[str, typer.Argument(help="The delivery.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a delivery that is not wanted any more: its position and its counts.

    A process that delivers under its name afterwards begins where --from says.

    Example: ./run tasks deliver forget webhook
    """
    reader = LedgerReader.reach(load())
    if delivery_states.is_running(reader.client, reader.keys, name):
        raise LedgerError(f"a process delivers under the name {name}: stop it first")
    if not yes:
        command_line.confirm(f"remove the position of the delivery {name} for good?")
    if not delivery_states.forget(reader.clients, reader.keys, name):
        raise NotFoundError(f"there is no delivery {name}: `./run tasks deliver list` lists them")
    command_line.echo(f"removed {name}")
