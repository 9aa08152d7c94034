"""What Redis refuses, and how long that is told."""

import pytest
import redis

from ingest.dispatch.redis_refusals import TOLD_S, RedisRefusals
from tasks.clients.redis_client import reason
from tasks.protocol.notice import Refusal
from tasks.protocol.routing import LaneId

LANES = [LaneId("trade", number) for number in range(3)]


def refusal(lane: LaneId, why: str = "no") -> Refusal:
    return Refusal(lane, "7.ab", why)


def says(refusals: RedisRefusals) -> list[tuple[str, str]]:
    return [(finding.name, finding.says) for finding in refusals.findings()]


def test_a_refused_commit_is_a_fault_until_its_lane_goes_on():
    refusals = RedisRefusals()
    assert says(refusals) == []
    for lane in LANES[:2]:
        refusals.refused(refusal(lane))
    assert [finding.sign for finding in refusals.findings()] == ["fault"]
    assert says(refusals) == [("commits_refused", "Redis refuses those of 2 lanes: no")]
    refusals.committed(LANES[0])
    refusals.committed(LANES[2])
    assert says(refusals) == [("commits_refused", "Redis refuses those of 1 lane: no")]
    refusals.committed(LANES[1])
    assert says(refusals) == []


def test_a_new_epoch_knows_of_no_refused_commit():
    refusals = RedisRefusals()
    refusals.refused(refusal(LANES[0]))
    refusals.begin()
    assert says(refusals) == []


def test_three_reasons_are_told_and_the_others_are_counted():
    refusals = RedisRefusals()
    for number in range(5):
        refusals.refused(refusal(LaneId("trade", number), f"reason {number}"))
    assert says(refusals)[0][1].endswith(": reason 0; reason 1; reason 2 and 2 more")


def test_what_ingest_is_refused_is_told_until_it_has_not_been_for_a_while():
    now_s = 100.0
    refusals = RedisRefusals(lambda: now_s)
    refusals.record_own("no")
    now_s += TOLD_S / 2
    refusals.record_own("never")
    assert says(refusals) == [("redis_refuses", "refuses what ingest asks for: never; no")]
    now_s += TOLD_S / 2
    assert says(refusals) == [("redis_refuses", "refuses what ingest asks for: never")]
    now_s += TOLD_S / 2
    assert says(refusals) == []


def test_a_refusal_survives_its_written_form_whatever_redis_says():
    said = refusal(LANES[1], "a|b refused|")
    assert Refusal.parse(str(said)) == said


@pytest.mark.parametrize("text", ["", "trade|0|7.ab|s@1", "refuses|trade|0|7.ab|no", "refused|trade|x|7.ab|no"])
def test_what_is_no_refusal_is_none(text: str):
    with pytest.raises(ValueError, match=r"unpack|neither|invalid literal"):
        Refusal.parse(text)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("no script: 1e1b, on @user_script:13.", "no"),
        ("two\r\nlines|", "two lines|"),
        ("x" * 300, "x" * 200),
        ("", "ResponseError"),
    ],
)
def test_a_reason_is_one_short_line(words: str, why: str):
    assert reason(redis.exceptions.ResponseError(words)) == why
