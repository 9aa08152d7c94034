"""Who lives, told from what the ledger holds."""

import msgspec
import pytest

from tasks.ledger.heartbeats import LiveWorker, alive

NOW_S = 1_800_000_000.0


def entry(age_s: float, ahead_s: float = 0.0) -> bytes:
    said = {"queues": ["depth", "trade"], "processes": 2, "version": "1.0.0"}
    seen_s = NOW_S - age_s
    return msgspec.json.encode({"seen_s": seen_s, "clock_ms": int((seen_s + ahead_s) * 1000), **said})


@pytest.mark.parametrize(("age_s", "lives"), [(0.0, True), (5.0, True), (10.0, True), (10.1, False), (59.0, False)])
def test_a_worker_lives_that_was_seen_within_10_s(age_s, lives):
    assert [worker.name for worker in alive({b"w1@a": entry(age_s)}, NOW_S)] == ["w1@a"] * lives


def test_workers_come_by_name_with_all_they_said_and_their_clock_error():
    found = alive({b"w2@b": entry(1.0, ahead_s=-90.0), b"w1@a": entry(2.0, ahead_s=1.5)}, NOW_S)
    assert found == [
        LiveWorker("w1@a", ["depth", "trade"], 2, "1.0.0", 2.0, 1.5),
        LiveWorker("w2@b", ["depth", "trade"], 2, "1.0.0", 1.0, -90.0),
    ]


@pytest.mark.parametrize("packed", [b"", b"{}", b"junk", b'{"seen_s":"now"}', b"\xff"])
def test_an_entry_that_is_not_ours_hides_nobody(packed):
    assert [worker.name for worker in alive({b"a": packed, b"w1@a": entry(0)}, NOW_S)] == ["w1@a"]
