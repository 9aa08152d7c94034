"""Latencies as counts in buckets."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.telemetry.latency import bucket, milliseconds, quantile_ms

MS = 1_000_000
latencies_ns = st.integers(1_000, 3_600 * 1_000 * MS)


@given(latencies_ns)
def test_a_bucket_is_within_5_percent_of_what_it_counts(latency_ns):
    assert milliseconds(bucket(latency_ns)) == pytest.approx(latency_ns / MS, rel=0.05)


@given(latencies_ns, latencies_ns)
def test_a_longer_latency_is_never_in_a_lower_bucket(one, other):
    assert (bucket(one) <= bucket(other)) or one > other


@pytest.mark.parametrize("latency_ns", [-5 * MS, 0, 999])
def test_what_is_below_a_microsecond_or_negative_counts_as_one(latency_ns):
    assert bucket(latency_ns) == bucket(1_000) == 0


@given(st.lists(st.integers(MS // 10, 3_600 * 1_000 * MS), min_size=1), st.sampled_from([0.01, 0.5, 0.99, 1.0]))
def test_a_quantile_is_the_latency_that_the_share_of_all_stays_within(latencies, share):
    exact_ns = sorted(latencies)[math.ceil(share * len(latencies)) - 1]
    assert quantile_ms(Counter(map(bucket, latencies)), share) == pytest.approx(exact_ns / MS, rel=0.05)


def test_counts_of_two_processes_add_up():
    fast, slow = Counter({bucket(MS): 99}), Counter({bucket(100 * MS): 1})
    assert quantile_ms(fast + slow, 0.99) == pytest.approx(1, rel=0.05)
    assert quantile_ms(fast + slow, 1.0) == pytest.approx(100, rel=0.05)


@pytest.mark.parametrize("counts", [{}, {5: 0}])
def test_nothing_counted_has_no_quantile(counts):
    assert quantile_ms(counts, 0.5) is None
