"""The table of kinds in docs/feeds.md is what the code has, and what tests/acceptance/test_every_kind.py takes through."""

from compose.local.processes import ROOT
from tests.support.kinds.rows import ROWS, table


def test_the_table_of_kinds_is_the_codes():
    assert table() in (ROOT / "docs" / "feeds.md").read_text(encoding="utf-8")


def test_each_row_is_there_once():
    assert len({(row.venue, row.kind) for row in ROWS}) == len(ROWS) == 26
