"""`./run tasks config`: the settings in force."""

import typer
from rich.text import Text

from tasks.cli import command_line
from tasks.cli.command_line import AsJson
from tasks.settings import load

app = typer.Typer()


@app.command()
def show(*, as_json: AsJson = False) -> None:
    """Show every setting: its environment name, its value (passwords masked), and what it means."""
    settings = load()
    shown = settings.shown()
    if as_json:
        command_line.echo_json(shown)
        return
    table = command_line.table("setting", "value", "what it is")
    for name, field in type(settings).model_fields.items():
        value = shown[name.upper()]
        given = "bold" if name in settings.model_fields_set else ""
        table.add_row(name.upper(), Text(value, given), field.description)
    command_line.print_table(command_line.Console(), table)
