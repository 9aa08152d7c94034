"""A value that changes only once another one was seen several times in a row."""

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from ingest.monitoring.hysteresis import SAMPLES, Hysteresis

SEEN = st.lists(st.sampled_from(["healthy", "unhealthy", "unknown"]), max_size=40)
COUNTS = st.integers(1, 5)


def values(seen: list[str], samples: int = SAMPLES) -> list[str]:
    held = Hysteresis("unknown", samples)
    return [held.take(each) for each in seen]


@given(seen=SEEN, samples=COUNTS)
def test_it_is_what_was_seen_so_often_in_a_row_last(seen, samples):
    expected, value = [], "unknown"
    for sample, run in groupby(seen):
        for number, _ in enumerate(run, 1):
            value = sample if number >= samples else value
            expected.append(value)
    assert values(seen, samples) == expected


@given(seen=SEEN)
def test_one_sample_alone_changes_nothing(seen):
    spaced = [each for sample in seen for each in (sample, "unknown", "unknown", "unknown")]
    assert set(values(spaced)) <= {"unknown"}


@given(seen=SEEN, samples=COUNTS)
def test_it_changes_less_often_than_what_is_seen(seen, samples):
    def changes(of: list[str]) -> int:
        return len(list(groupby(["unknown", *of])))

    assert changes(values(seen, samples)) <= changes(seen)


def test_three_in_a_row_make_a_change_and_no_more_are_needed():
    assert values(["healthy"] * 4) == ["unknown", "unknown", "healthy", "healthy"]
