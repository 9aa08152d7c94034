"""The claim: however the work is spread, the signals equal those of one process that reads the recording once."""

from itertools import product
from pathlib import Path

import pytest

from compose.local.stack import Plan
from tests.acceptance.pipeline import backtested, deadletters, finish, replay, running

SPOT = ("binance-spot-20240808.jsonl.gz",)
USDM = ("binance-usdm-20240808.jsonl.gz",)
BOTH = SPOT + USDM
#: Each number of workers, pool, number of partitions and recording at least once.
QUICK = [(1, "solo", 8, SPOT), (2, "prefork", 1, USDM), (4, "prefork", 8, BOTH)]
ALL = [*product((1, 2, 4), ("solo", "prefork"), (1, 8), (SPOT, USDM, BOTH))]


def assert_live_equals_backtest(
    recordings: Path, workers: int, pool: str, partitions: int, names: tuple[str, ...]
) -> None:
    files = [recordings / name for name in names]
    expected = backtested(files)
    with running(Plan(workers, pool, partitions)) as stack:
        replay(stack, files, "max")
        live = finish(stack)
        letters = deadletters(stack)
    assert live.frames == live.events == expected.frames
    assert (live.skipped, live.refused, live.dropped, live.repeats, letters) == ({}, {}, {}, 0, [])
    assert live.signals == expected.signals
    assert live.digest == expected.digest


@pytest.mark.parametrize(("workers", "pool", "partitions", "names"), QUICK)
def test_live_and_backtest_agree(recordings: Path, workers: int, pool: str, partitions: int, names: tuple[str, ...]):
    assert_live_equals_backtest(recordings, workers, pool, partitions, names)


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "pool", "partitions", "names"), [case for case in ALL if case not in QUICK])
def test_live_and_backtest_agree_in_every_combination(
    recordings: Path, workers: int, pool: str, partitions: int, names: tuple[str, ...]
):
    assert_live_equals_backtest(recordings, workers, pool, partitions, names)
