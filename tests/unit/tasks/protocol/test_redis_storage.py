"""What is found about a Redis that loses what it has."""

import pytest

from tasks.errors import SettingsError
from tasks.protocol import redis_storage


def found(info: dict[str, str], *, is_ledger: bool = True, allows_eviction: bool = False) -> list[tuple[str, str]]:
    findings = redis_storage.findings("Redis", info, is_ledger=is_ledger, allows_eviction=allows_eviction)
    return [(finding.name, finding.sign) for finding in findings]


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_a_ledger_whose_keys_may_be_deleted_is_no_ledger(policy):
    info = {"maxmemory_policy": policy}
    assert found(info) == [("redis_evicts", "fault")]
    with pytest.raises(SettingsError, match=rf"redis://a/0, has maxmemory-policy {policy}: .*INGEST_ALLOW_EVICTION"):
        redis_storage.check_eviction("redis://a/0", info)


def test_eviction_that_is_allowed_or_harms_less_is_a_warning():
    assert found({"maxmemory_policy": "allkeys-lru"}, allows_eviction=True) == [("redis_evicts", "warning")]
    assert found({"maxmemory_policy": "allkeys-lru"}, is_ledger=False) == [("redis_evicts", "warning")]
    info = {"maxmemory_policy": "volatile-lru"}
    assert found(info) == found(info, is_ledger=False) == [("redis_evicts", "warning")]
    redis_storage.check_eviction("redis://a/0", info)


def test_a_ledger_that_can_not_write_to_its_disk_is_a_fault():
    for name in ("rdb_last_bgsave_status", "aof_last_write_status"):
        assert found({name: "err"}) == [("redis_cannot_save", "fault")]
        assert found({name: "err"}, is_ledger=False) == []
        assert redis_storage.save_failing({name: "err"}) is True


def test_nothing_is_found_about_what_a_server_does_not_tell():
    assert found({}) == []
    redis_storage.check_eviction("redis://a/0", {})
    assert redis_storage.save_failing({}) is None
    assert redis_storage.save_failing({"rdb_last_bgsave_status": "ok"}) is False
