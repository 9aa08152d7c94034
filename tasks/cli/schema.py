"""`./run tasks schema`: the signal contract."""

import typer

from tasks.cli import command_line
from tasks.engine.signal_message import SignalMessage

app = typer.Typer()


@app.command()
def schema() -> None:
    """Print the signal contract as JSON Schema."""
    command_line.echo_json(SignalMessage.model_json_schema(), indent=2)
