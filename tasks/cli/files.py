"""Shared by the commands that read files of market data: their options."""

from typing import Annotated

import typer

#: Exit status of a command that could use only a part of a damaged file.
DAMAGED = 3

VenueName = Annotated[
    str, typer.Option("--venue", help="The venue of files that don't name theirs.", show_default="as the columns tell")
]
Begin = Annotated[
    str, typer.Option("--from", help="From this time on: 2024-08-08, 2024-08-08T12:00 (UTC), or a unix time.")
]
BookInterval = Annotated[
    int,
    typer.Option(
        "--book-interval-ms", min=1, max=60_000, help="The least time between two books that are made of level updates."
    ),
]
Symbols = Annotated[
    str,
    typer.Option(
        "--symbol",
        "--symbols",
        help="Only these, with commas between; a single one is also that of files that name none.",
    ),
]
Salvage = Annotated[
    bool, typer.Option("--salvage", help="Exit with 0, not 3, when only a part of a damaged file was used.")
]
End = Annotated[str, typer.Option("--to", help="Before this time.")]
