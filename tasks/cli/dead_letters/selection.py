"""Which dead letters a command is about: ids, or filters."""

from collections.abc import Iterator, Sequence
from typing import Annotated, get_args

import typer

from tasks.cli import name_completion
from tasks.errors import SettingsError
from tasks.ledger.dead_letters import DeadLetterFilter, DeadLetterStore, StoredLetter
from tasks.ops.entry_filters import strategy_names, symbol_spellings
from tasks.ops.time_arguments import since_ms
from tasks.protocol import dead_letters

_REASONS = ", ".join(get_args(dead_letters.Reason))
_TIME = "90s, 10m, 2h, 1d ago, or a time in UTC"

Reasons = Annotated[
    list[str] | None, typer.Option("--reason", help=f"Only of this reason ({_REASONS}) or refusal; repeatable.")
]
Symbols = Annotated[
    list[str] | None,
    typer.Option("--symbol", help="Only about this symbol; repeatable.", autocompletion=name_completion.symbols),
]
Since = Annotated[str, typer.Option(help=f"Written since then: {_TIME}.")]
Until = Annotated[str, typer.Option(help=f"Written until then: {_TIME}.")]
Last = Annotated[int | None, typer.Option("--last", "-n", min=0, help="Only so many of the newest.")]
Ids = Annotated[list[str] | None, typer.Argument(help="Ids, as `list` shows them; or filters instead.")]


def chosen_letters(
    store: DeadLetterStore,
    reasons: list[str] | None,
    strategies: list[str] | None,
    symbols: list[str] | None,
    since: str,
    until: str,
    last: int | None,
) -> DeadLetterFilter:
    """Return the filter of a command's options. Raises SettingsError: one is no time."""
    # By Redis's clock: it dates the letters.
    now_ms = store.now_ms() if since or until else 0
    return DeadLetterFilter(
        frozenset(reasons or ()),
        strategy_names(strategies, store.reader.aliases()),
        symbol_spellings(symbols),
        since_ms(since, now_ms) if since else 0,
        since_ms(until, now_ms, "--until") if until else None,
        last,
    )


def named_letters(store: DeadLetterStore, ids: Sequence[str], chosen: DeadLetterFilter) -> Iterator[StoredLetter]:
    """Yield the letters with these ids, or the selected ones. Raises SettingsError unless it is one of both."""
    if bool(ids) == (chosen != DeadLetterFilter()):
        raise SettingsError("say which: either ids, or filters such as --reason and --until 7d")
    return iter(list(store.get(ids))) if ids else store.choose(chosen)
