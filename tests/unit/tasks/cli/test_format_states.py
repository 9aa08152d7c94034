"""Lines of records for people."""

import pytest

from tasks.cli import format_states
from tasks.events import NO_ID
from tasks.ops.states import StateField, StoredField
from tasks.protocol import records
from tasks.protocol.records import Record

AT_MS = 1_723_161_256_322


@pytest.mark.parametrize(
    ("id_", "note"), [(7, "last 2024-08-08 23:54:16, id 7"), (NO_ID + AT_MS * 1_000_000, "last 2024-08-08 23:54:16")]
)
def test_a_record_names_an_id_only_where_the_exchange_gives_ids(id_: int, note: str):
    name = StateField.parse("trade", records.named("kraken", "BTC/USD", "liquidation").encode())
    assert name
    record = records.pack(Record(id=id_, time_ms=AT_MS, count=1))
    assert format_states.row(StoredField(name, record), None).note == note
