"""Which Redis is the ledger of which shard."""

import pytest

from tasks.errors import LedgerError
from tasks.settings import Settings

SPLIT = Settings(ledger_urls=" redis://:secret@one/0\nredis://two/1 ", nats_partitions=64)


def test_without_a_split_one_ledger_is_that_of_every_shard():
    for whole in (Settings(redis_url="redis://a/0"), Settings(ledger_url="redis://a/0")):
        assert whole.ledgers == ("redis://a/0",)
        assert {whole.ledger, whole.ledger_of(0), whole.ledger_of(7)} == {"redis://a/0"}


def test_each_shard_has_a_ledger_and_the_first_has_what_is_of_none():
    assert SPLIT.ledgers == ("redis://:secret@one/0", "redis://two/1")
    assert SPLIT.ledger == SPLIT.ledger_of(0) == "redis://:secret@one/0"
    assert SPLIT.ledger_of(1) == "redis://two/1"


def test_a_shard_without_a_ledger_is_an_error_that_names_it():
    with pytest.raises(LedgerError, match="LEDGER_URLS names 2 ledgers, none for shard 2"):
        SPLIT.ledger_of(2)


def test_urls_of_ledgers_are_shown_without_their_passwords():
    assert SPLIT.shown()["LEDGER_URLS"] == "redis://***@one/0 redis://two/1"
