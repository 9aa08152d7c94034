"""The tables of docs/security.md, as tests read them: what is written there is what is tried."""

from compose.local.processes import ROOT

PAGE = ROOT / "docs" / "security.md"
TEXT = PAGE.read_text(encoding="utf-8")


def table(first_column: str) -> dict[str, dict[str, str]]:
    """Return the cells of the table whose first column is named so, by row and column. Raises LookupError: none is."""
    _, found, rest = TEXT.partition(f"\n| {first_column} |")
    if not found:
        raise LookupError(first_column)
    head, _, *rows = (_cells(line) for line in (found.strip() + rest).partition("\n\n")[0].splitlines())
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}


def _cells(line: str) -> list[str]:
    """Return the cells of a table's line, without marks of code."""
    return [cell.strip().replace("`", "") for cell in line.split("|")[1:-1]]


def cells(first_column: str) -> list[tuple[str, str, str]]:
    """Return row, column and cell of each cell of that table."""
    return [(row, column, cell) for row, its in table(first_column).items() for column, cell in its.items()]
