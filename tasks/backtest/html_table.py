"""Tables of a page that can be sorted by any column. Pure."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any, Generic, NamedTuple, TypeVar

from tasks.backtest.paper_statistics import is_nothing

Row = TypeVar("Row")


class Column(NamedTuple, Generic[Row]):
    """A column: its head, what to sort by, and how to show it."""

    head: str
    value: Callable[[Row], float | str | None]
    #: None: it is an amount of money.
    form: Callable[[Any], str] | None = None
    #: Whether its sign has a colour.
    is_coloured: bool = False
    #: Whether it is text, sorted from A on.
    is_name: bool = False
    #: Whether its text is long, and may be broken into lines.
    is_long: bool = False


def share(value: float) -> str:
    """Return a share of 0 to 1 as a percentage."""
    return f"{value:.0%}"


def table(name: str, rows: Sequence[Row], columns: Sequence[Column[Row]], amount: Callable[[float], str]) -> str:
    """Return a table that scrolls in itself, the first column as the heads of its rows; `amount` writes money."""
    heads = "".join(_head(column) for column in columns)
    body = "".join(
        f"<tr>{''.join(_cell(at, column, row, amount) for at, column in enumerate(columns))}</tr>" for row in rows
    )
    return (
        f'<div class="scroll bounded" tabindex="0" role="region" aria-label="{escape(name)}"><table class="sortable">'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _head(column: Column[Any]) -> str:
    kind = "ascending" if column.is_name else "descending"
    name = ' class="name"' if column.is_name else ""
    return f'<th scope="col"{name} data-first="{kind}"><button type="button">{escape(column.head)}</button></th>'


def _cell(at: int, column: Column[Row], row: Row, amount: Callable[[float], str]) -> str:
    value = column.value(row)
    form: Callable[[Any], str] = column.form or amount
    text = "-" if value is None else escape(form(value))
    key = "" if value is None else escape(str(value))
    if at == 0:
        return f'<th scope="row" data-value="{key}">{text}</th>'
    kind = ' class="name long"' if column.is_long else ' class="name"' if column.is_name else ""
    if column.is_coloured and not is_nothing(text):
        kind = f' class="{"down" if text.startswith("-") else "up"}"'
    return f'<td{kind} data-value="{key}">{text}</td>'
