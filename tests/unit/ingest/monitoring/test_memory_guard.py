"""When new batches are held back because a Redis is full, and when they go out again."""

import pytest
from structlog.testing import capture_logs

from ingest.monitoring.memory_guard import MemoryGuard

LIMIT = 1_000


def full(memory_guard: MemoryGuard, used_bytes: int | None, limit_bytes: int | None = LIMIT, server: str = "a") -> bool:
    """Let it look; say what it thinks then."""
    memory_guard.poll(server, used_bytes, limit_bytes)
    return memory_guard.full


def test_it_is_full_above_its_share_and_until_a_twentieth_below_it():
    """Share and twentieth are parts of the limit."""
    memory_guard = MemoryGuard(0.9)
    used = (900, 901, 999, 900, 851, 850, 900, 901)
    assert [full(memory_guard, each) for each in used] == [False, True, True, True, True, False, False, True]


@pytest.mark.parametrize(("share", "limit"), [(0.0, LIMIT), (0.9, 0)], ids=["switched off", "no limit"])
def test_it_is_never_full_when_it_is_switched_off_or_redis_has_no_limit(share: float, limit: int):
    assert not full(MemoryGuard(share), 10 * LIMIT, limit)


def test_what_redis_does_not_tell_changes_nothing():
    memory_guard = MemoryGuard(0.9)
    assert not full(memory_guard, None, None)
    assert full(memory_guard, 950)
    assert full(memory_guard, None)


def test_taking_the_limit_away_releases_it():
    memory_guard = MemoryGuard(0.9)
    assert full(memory_guard, 950)
    assert not full(memory_guard, 950, 0)


def test_one_full_server_of_several_is_enough_and_each_has_its_own_slack():
    memory_guard = MemoryGuard(0.9)
    looks = (("a", 100), ("b", 950), ("a", 100), ("a", 880), ("b", 860), ("b", 850))
    assert [full(memory_guard, used, server=name) for name, used in looks] == [False, True, True, True, True, False]


def test_it_logs_once_which_server_is_full_and_once_that_it_has_room():
    memory_guard = MemoryGuard(0.9)
    with capture_logs() as logs:
        for used in (950, 960, 100, 100):
            memory_guard.poll("redis://b", used, LIMIT)
    told = [(line["log_level"], line["server"], line["used_bytes"]) for line in logs]
    assert told == [("error", "redis://b", 950), ("info", "redis://b", 100)]


def test_another_shards_full_ledger_is_told_and_holds_nothing_back():
    memory_guard = MemoryGuard(0.9)
    memory_guard.poll("redis://first", 950, LIMIT, is_written=False)
    assert not memory_guard.full
    (finding,) = memory_guard.findings()
    assert (finding.sign, finding.name) == ("warning", "redis_full")
    assert "redis://first" in finding.says
    assert full(memory_guard, 950)
    assert [each.sign for each in memory_guard.findings()] == ["fault", "warning"]
