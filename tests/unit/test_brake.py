"""When new batches are held back because Redis is full, and when they go out again."""

import pytest
from structlog.testing import capture_logs

from ingest.brake import Brake

LIMIT = 1_000


def test_it_is_full_above_its_share_and_stays_so_until_a_twentieth_of_the_limit_is_free_again():
    brake = Brake(0.9)
    used = (900, 901, 999, 900, 851, 850, 900, 901)
    assert [brake.look(each, LIMIT) for each in used] == [False, True, True, True, True, False, False, True]


@pytest.mark.parametrize(("share", "limit"), [(0.0, LIMIT), (0.9, 0)], ids=["switched off", "no limit"])
def test_it_is_never_full_when_it_is_switched_off_or_redis_has_no_limit(share: float, limit: int):
    assert not Brake(share).look(10 * LIMIT, limit)


def test_what_redis_does_not_tell_changes_nothing():
    brake = Brake(0.9)
    assert not brake.look(None, None)
    assert brake.look(950, LIMIT)
    assert brake.look(None, LIMIT)


def test_taking_the_limit_away_releases_it():
    brake = Brake(0.9)
    assert brake.look(950, LIMIT)
    assert not brake.look(950, 0)


def test_it_says_once_that_it_holds_and_once_that_it_lets_go_and_then_calls():
    brake, released = Brake(0.9), list[bool]()
    brake.on_release = lambda: released.append(brake.full)
    with capture_logs() as logs:
        for used in (950, 960, 100, 100):
            brake.look(used, LIMIT)
    assert [(line["log_level"], line["used_bytes"]) for line in logs] == [("error", 950), ("info", 100)]
    assert released == [False]
