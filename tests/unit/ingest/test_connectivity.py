from structlog.testing import capture_logs

from ingest.connectivity import Connectivity


def parts() -> Connectivity:
    return Connectivity({"nats": "nats://a", "redis": "redis://b"})


def test_at_first_nothing_is_there_and_nothing_was_said():
    with capture_logs() as logged:
        assert parts().up == {"nats": False, "redis": False}
        assert not parts().all_up
    assert logged == []


def test_an_unavailable_part_is_logged_once_however_often_it_is_missed():
    """The line has the part's address."""
    with capture_logs() as logged:
        own = parts()
        for why in ("refused", "refused", "timed out"):
            own.lost("redis", why)
    [line] = logged
    assert (line["log_level"], line["part"], line["url"], line["why"]) == ("warning", "redis", "redis://b", "refused")


def test_a_part_that_is_back_is_named_once_and_missed_again_the_next_time():
    own = parts()
    with capture_logs() as logged:
        own.lost("redis", "x")
        own.back("redis")
        own.back("redis")
        own.lost("redis", "x")
    assert [line["event"] for line in logged] == ["connection lost, retrying", "connected", "connection lost, retrying"]


def test_all_are_up_only_when_each_is():
    own = parts()
    seen = []
    for part in ("nats", "redis"):
        own.back(part)
        seen.append(own.all_up)
    own.lost("nats", "x")
    assert [*seen, own.all_up] == [False, True, False]
    assert own.up == {"nats": False, "redis": True}
