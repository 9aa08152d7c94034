"""The claim: however the work is spread, the signals equal those of one process that reads the recording once."""

import json
from itertools import product
from pathlib import Path

import pytest

from compose.local.stack import Plan
from tasks import backtest, configuration
from tasks.history import recordings
from tasks.ledger.reader import LedgerReader
from tasks.protocol import dead_letters
from tasks.settings import Settings
from tests.acceptance.test_faults import Adversary
from tests.data import SPOT, USDM
from tests.support.files.openings import write_opening
from tests.support.stacks.pipeline import backtested, command, deadletters, digests, finish, lasting, replay, running

#: The one that comes with the project, and its first third.
SHIPPED, OPENING = ("shipped",), ("opening",)
#: Those that are elsewhere, if at all, and their beginnings.
BOTH, OPENINGS = (SPOT, USDM), ("openings",)
#: Each number of workers, pool and number of partitions at least once, and all shipped frames once.
QUICK = [
    (1, "solo", 8, OPENING),
    (2, "prefork", 1, OPENING),
    (4, "prefork", 8, SHIPPED),
    pytest.param(4, "prefork", 8, OPENINGS, marks=pytest.mark.ci),
]
ALL = [*product((1, 2, 4), ("solo", "prefork"), (1, 8), (SHIPPED, (SPOT,), (USDM,), BOTH))]


@pytest.fixture
def files(names: tuple[str, ...], request: pytest.FixtureRequest, tmp_path: Path) -> list[Path]:
    if names in (SHIPPED, OPENING):
        return [request.getfixturevalue("recording" if names == SHIPPED else "opening")]
    folder: Path = request.getfixturevalue("recordings")
    if names == OPENINGS:
        return [write_opening(folder / name, 5_000, tmp_path / f"{name}.jsonl") for name in BOTH]
    return [folder / name for name in names]


def assert_live_equals_backtest(files: list[Path], workers: int, pool: str, partitions: int) -> None:
    expected = backtested(files)
    with running(Plan(workers, pool, partitions)) as stack:
        replay(stack, files, "max")
        live = finish(stack)
        letters = deadletters(stack)
    assert live.frames == live.events == expected.frames
    assert (live.skipped, live.refused, live.dropped, live.repeats, letters) == ({}, {}, {}, 0, [])
    assert live.signals == expected.signals
    assert digests(live) == digests(expected)


@pytest.mark.parametrize(("workers", "pool", "partitions", "names"), QUICK)
def test_live_and_backtest_agree(files: list[Path], workers: int, pool: str, partitions: int):
    assert_live_equals_backtest(files, workers, pool, partitions)


def spoilt(recording: Path, to: Path) -> Path:
    """Name ETHUSDT's spot books after BTCUSDT, as a faulty client does, and set a clock ahead for a while."""
    with to.open("wb") as file:
        for number, line in enumerate(recordings.read(recording)):
            raw = line.raw
            if line.stream.startswith("ethusdt@depth") and b"lastUpdateId" in raw:
                raw = raw.replace(b"ethusdt@depth", b"btcusdt@depth", 1)
            ahead_ns = 3_600_000_000_000 if 2_000 <= number < 2_200 else 0
            raw = raw.replace(b"%d" % line.received_at_ns, b"%d" % (line.received_at_ns + ahead_ns))
            if 4_000 <= number < 4_100:
                raw = raw.replace(b'"E":1', b'"E":2')
            file.write(raw + b"\n")
    return to


def test_live_and_backtest_agree_on_wrong_books_and_wrong_clocks(opening: Path, tmp_path: Path):
    files = [spoilt(opening, tmp_path / "spoilt.jsonl")]
    expected = backtested(files)
    assert expected.refused.keys() == {"implausible_price", "time_ahead"}
    with running(Plan(2, "prefork", 8)) as stack:
        replay(stack, files, "max")
        live = finish(stack)
    assert (live.frames, live.events, live.refused) == (expected.frames, expected.events, expected.refused)
    assert live.signals == expected.signals
    assert digests(live) == digests(expected)


def as_the_exchange_sends(recording: Path, to: Path) -> Path:
    """Keep what has a time of its own, without ours: a third of the trades bare, and books of futures."""
    with to.open("wb") as file:
        for number, line in enumerate(recordings.read(recording)):
            if b"lastUpdateId" in line.raw:
                continue
            own = line.raw[: line.raw.rindex(b',"received_at"')] + b"}"
            is_bare = number % 3 == 0 and line.stream.endswith("@trade")
            file.write((own[own.index(b'"data":') + len(b'"data":') : -1] if is_bare else own) + b"\n")
    return to


@pytest.mark.ci
def test_live_and_backtest_agree_on_the_exchanges_own_frames(opening: Path, tmp_path: Path):
    files = [as_the_exchange_sends(opening, tmp_path / "own.jsonl")]
    expected = backtested(files)
    assert {b"data" in line.raw for line in recordings.read(files[0])} == {True, False}
    with running(Plan(2, "prefork", 8)) as stack:
        replay(stack, files, "max")
        live = finish(stack)
    assert live.frames == live.events == expected.events == expected.frames > 3_000
    assert live.signals == expected.signals
    assert digests(live) == digests(expected)


BARS = """
[pools.trade]
kinds = ["trade"]
[pools.trade.strategies."tests.support.strategies.bars:BarSpeaker"]
bars = ["1s", "5s", "100tick", "20volume", "250000dollar"]
[pools.basket]
kinds = ["trade"]
key = "all"
[pools.basket.strategies."tests.support.strategies.bars:BarSpeakerOfAll"]
bars = ["15s", "500tick"]
"""


@pytest.mark.ci
def test_bars_of_workers_that_are_killed_are_those_of_a_backtest(opening: Path, tmp_path: Path):
    file = tmp_path / "strategies.toml"
    file.write_text(BARS)
    expected = backtest.run([opening], configuration.read(file))
    with running(Plan(2, "prefork", environment={"STRATEGIES_FILE": str(file)})) as stack:
        adversary = Adversary(stack, seed=1)
        replay(stack, [opening], lasting([opening], 8), adversary.act)
        adversary.rest()
        live = finish(stack)
        letters = deadletters(stack)
        told = [json.loads(line) for line in command(stack, "state", "show", "--json").splitlines()]
    assert adversary.faults.total() > 0
    assert (live.dropped, live.repeats, letters) == ({}, 0, [])
    assert live.signals == expected.signals
    assert min(live.signals["bar_speaker"], live.signals["bar_speaker_of_all"]) > 10
    assert digests(live) == digests(expected)
    shared = [each for each in told if each.get("strategy") == "bar_speaker_of_all"]
    assert {"spot", "usdm"} == {each["venue"] for each in shared}
    assert all(each["bars"][name]["15s"]["open_ms"] % 15_000 == 0 for each in shared for name in each["bars"])


SHADOWS = """
[pools.depth.shadow.orderbook_skew]
of = "orderbook_skew"
levels = 10
[pools.trade.shadow."tests.support.stacks.strategies:Moody"]
of = "price_velocity"
[pools.trade.shadow.trade_momentum]
of = "trade_momentum"
min_signal_interval_s = 1
[pools.basket.shadow.market_dominance]
of = "market_dominance"
min_signal_interval_s = 1
"""


@pytest.mark.ci
def test_kills_change_neither_what_goes_out_nor_what_shadows_say(opening: Path, tmp_path: Path):
    file = tmp_path / "strategies.toml"
    file.write_text(f"{Settings().strategies_file.read_text()}\n{SHADOWS}")
    expected = backtest.Backtest(configuration.read(file))
    result = expected.run(recordings.read(opening))
    with running(Plan(2, "prefork", environment={"STRATEGIES_FILE": str(file)})) as stack:
        adversary = Adversary(stack, seed=1)
        replay(stack, [opening], lasting([opening], 8), adversary.act)
        adversary.rest()
        live, reader = finish(stack), LedgerReader(stack.settings)
        said = [entry for _, entry in reader.entries(reader.keys.shadowed, b"shadowed")]
        counted, raised = reader.counters().by_label("shadowed"), deadletters(stack)
    assert adversary.faults.total() > 0
    assert live.digest == backtested([opening]).digest
    assert live.signals == backtested([opening]).signals
    assert sorted(said) == sorted(expected.ledger.shadowed)
    assert counted == expected.ledger.counts.by_label("shadowed")
    assert len(counted) > 1
    assert live.positions_digest == result.positions_digest
    assert {dead_letters.unpack(each).strategy for each in raised} == {"shadow~moody"}


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "pool", "partitions", "names"), [case for case in ALL if case not in QUICK])
def test_live_and_backtest_agree_in_every_combination(files: list[Path], workers: int, pool: str, partitions: int):
    assert_live_equals_backtest(files, workers, pool, partitions)
