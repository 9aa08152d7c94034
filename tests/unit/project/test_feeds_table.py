"""The tables of kinds in docs/feeds.md are what the code has, and what tests/acceptance/test_every_kind.py takes through."""

from compose.local.processes import ROOT
from tests.support.kinds.rows import ROWS, kinds_table, table


def test_the_tables_of_kinds_are_the_codes():
    page = (ROOT / "docs" / "feeds.md").read_text(encoding="utf-8")
    assert table() in page
    assert kinds_table() in page


def test_each_row_is_there_once():
    assert len({(row.venue, row.kind) for row in ROWS}) == len(ROWS) == 26
