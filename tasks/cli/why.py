"""`./run tasks why`: what led to a signal, run again."""

from pathlib import Path
from typing import Annotated

import typer

from tasks.cli import command_line, format_why
from tasks.cli.command_line import AsJson
from tasks.errors import SettingsError
from tasks.settings import load
from tasks.why import answer
from tasks.why.investigation import Request, investigate

app = typer.Typer()

Recordings = Annotated[
    list[Path] | None,
    typer.Option("--from", metavar="RECORDING", help="Where its events are, merged by time if repeated."),
]
Stream = Annotated[
    bool,
    typer.Option("--stream", help="Read them from the stream INGEST_STREAM; the default with INGEST_SOURCE=jetstream."),
]
SignalsFile = Annotated[
    Path | None, typer.Option("--signals", help="Look it up in a file of `backtest --signals`, not in the ledger.")
]


@app.command()
def why(
    identity: Annotated[str, typer.Argument(metavar="SIGNAL_ID", help="The `id` of a signal, sent or held back.")],
    *,
    paths: Recordings = None,
    from_stream: Stream = False,
    signals_file: SignalsFile = None,
    as_json: AsJson = False,
) -> None:
    """Show what led to a signal, and whether the same comes out again, byte for byte. Exit status 1 unless it does.

    Its strategy runs again over the events of its symbol, under the configurations that were in force.

    Example: ./run tasks why 3f2b7a0c-58d1-5e0e-9b3a-0d1f1a2b3c4d --from recording.jsonl.gz
    """
    if paths and from_stream:
        raise SettingsError("either --from or --stream: its events are in one of them")
    settings = load()
    by_default = not paths and settings.ingest_source == "jetstream" and signals_file is None
    found = investigate(settings, Request(identity, tuple(paths or ()), from_stream or by_default, signals_file))
    if as_json:
        command_line.echo_json(found)
    else:
        format_why.show(command_line.Console(), found)
    raise typer.Exit(int(found.verdict not in answer.GOOD))
