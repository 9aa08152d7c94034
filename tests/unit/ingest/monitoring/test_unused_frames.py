"""Frames that come in while no strategy takes any of them are told, with their kinds."""

import pytest

from ingest.monitoring.feed_watch import StreamActivity
from ingest.monitoring.unused_frames import UNUSED_S, UnusedFrames
from tests.support.events import book, trade

QUIET_S = 30.0
WANTED = StreamActivity(("spot", "BTCUSDT", "trade"), trade(), 5, wanted=True)
UNWANTED = StreamActivity(("spot", "BTCUSDT", "depth"), book(), 5, wanted=False)


class Frames:
    """What comes in, second by second."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.left_out: dict[str, int] = {}
        self.unused = UnusedFrames(QUIET_S)

    def seconds(self, count: float, *fresh: StreamActivity, **left_out: int) -> None:
        for _ in range(int(count)):
            self.now_s += 1
            self.left_out = self.left_out | {kind: self.left_out.get(kind, 0) + n for kind, n in left_out.items()}
            self.unused.tick(self.now_s, fresh, self.left_out)

    @property
    def found(self) -> list[str]:
        return [finding.says for finding in self.unused.findings(self.now_s)]


@pytest.fixture
def frames() -> Frames:
    return Frames()


def test_nothing_that_comes_is_nothing_wrong(frames: Frames):
    frames.seconds(100)
    assert frames.found == []


def test_unused_frames_are_a_finding_with_their_most_frequent_kinds_first(frames: Frames):
    frames.seconds(UNUSED_S, kline=1, depth_diff=9)
    assert frames.found == []
    frames.seconds(1, kline=1, depth_diff=9)
    assert frames.found == ["frames come, none is used: kinds depth_diff, kline"]
    frames.seconds(1, WANTED, kline=1)
    assert frames.found == []


@pytest.mark.parametrize(
    ("kinds", "done"),
    [
        ({"aggTrade": 1, "ack": 1}, ", or name agg_trade in a pool's kinds in the strategies file"),
        (
            {"mark_price": 1, "forceOrder": 1},
            ", or name mark_price, liquidation in a pool's kinds in the strategies file",
        ),
        ({"depth_diff": 1}, ""),
    ],
)
def test_what_a_pool_could_take_is_named_as_pools_name_it(frames: Frames, kinds: dict[str, int], done: str):
    frames.seconds(UNUSED_S + 1, **kinds)
    [finding] = frames.unused.findings(frames.now_s)
    assert (
        finding.do
        == f"have the feed publish depth20 and trade streams{done}: `./run tasks strategies list` says who takes what"
    )


def test_events_that_no_pool_takes_are_not_used(frames: Frames):
    frames.seconds(UNUSED_S + 1, UNWANTED)
    assert frames.found == ["frames come, none is used: kinds depth"]


def test_between_rare_events_other_frames_are_no_alarm(frames: Frames):
    for _ in range(5):
        frames.seconds(1, WANTED, kline=3)
        frames.seconds(QUIET_S, kline=3)
        assert frames.found == []
    frames.seconds(2, kline=3)
    assert frames.found == ["frames come, none is used: kinds kline"]


def test_candles_that_are_still_open_are_not_unused(frames: Frames):
    frames.seconds(10 * QUIET_S, open_kline=4)
    assert frames.found == []


def test_it_is_over_when_no_frames_come_any_more(frames: Frames):
    frames.seconds(UNUSED_S + 1, kline=1)
    frames.seconds(QUIET_S)
    assert frames.found != []
    frames.seconds(1)
    assert frames.found == []
