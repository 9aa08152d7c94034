"""What the docs say of the columns is what files hold."""

import re
from typing import get_args

from tasks.events import KINDS, Kind
from tasks.export import bar_columns, event_columns, signal_columns
from tests import write_columns


def test_the_docs_list_the_columns_of_every_table_and_kind():
    text = write_columns.PAGE.read_text(encoding="utf-8")
    assert write_columns.page(text) == text, "python -m tests.write_columns"
    assert set(re.findall(r"<!-- columns of (\w+) -->", text)) == {"events", "signals", "bars", *KINDS}


def test_every_kind_of_event_can_be_exported():
    assert set(KINDS) == set(get_args(Kind))


def test_no_column_is_named_twice():
    for table in (
        event_columns.table(),
        signal_columns.TABLE,
        bar_columns.TABLE,
        *(event_columns.table([kind]) for kind in KINDS),
    ):
        names = [column.name for column in table.columns]
        assert len(names) == len(set(names))


def test_a_column_of_several_kinds_has_one_type_and_one_meaning():
    meanings: dict[str, set[tuple[str, str]]] = {}
    for own in event_columns.by_kind().values():
        for column in (*event_columns.EVENT, *own):
            meanings.setdefault(column.name, set()).add((column.type, column.what))
    assert {name: said for name, said in meanings.items() if len(said) > 1} == {}
