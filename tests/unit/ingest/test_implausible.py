"""What is refused although it is a frame of ours is found, for as long as it goes on."""

from ingest.implausible import LASTS_S, ImplausibleFrames


class TimedFrames:
    """Frames whose time the test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.frames = ImplausibleFrames(lambda: self.now_s)

    @property
    def names(self) -> list[str]:
        return [finding.name for finding in self.frames.findings()]


def test_a_refusal_is_found_for_a_minute_with_its_count_and_last_detail():
    watched = TimedFrames()
    for number in range(1_000):
        watched.frames.note("implausible_price", f"book {number}")
    [finding] = watched.frames.findings()
    assert (finding.sign, finding.name) == ("warning", "implausible_price")
    assert finding.says == "1,000 frames refused as implausible_price; the last: book 999"
    assert finding.do
    watched.now_s = LASTS_S
    assert watched.names == ["implausible_price"]
    watched.now_s += 1
    assert watched.names == []


def test_each_reason_is_found_by_itself_and_counted_from_zero_once_over():
    watched = TimedFrames()
    watched.frames.note("time_ahead", "an hour")
    watched.now_s = LASTS_S
    watched.frames.note("bad_time", "x")
    assert watched.names == ["time_ahead", "bad_time"]
    watched.now_s += LASTS_S
    watched.frames.note("time_ahead", "two hours")
    assert [finding.says for finding in watched.frames.findings() if finding.name == "time_ahead"] == [
        "1 frame refused as time_ahead; the last: two hours"
    ]


def test_refused_symbols_are_found_with_what_to_do():
    watched = TimedFrames()
    for reason in ("symbol_not_allowed", "too_many_symbols"):
        watched.frames.note(reason, "spot X")
    assert watched.names == ["symbol_not_allowed", "too_many_symbols"]
    assert ["docs/feeds.md, Symbols" in finding.do for finding in watched.frames.findings()] == [True, True]


def test_a_malformed_frame_is_no_matter_of_clocks_and_names():
    watched = TimedFrames()
    watched.frames.note("not_json", "x")
    assert watched.names == []
