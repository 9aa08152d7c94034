"""The soak in its quick and its long form, and what it measures with. See docs/faults.md."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.ledger.keys import LedgerKeys
from tasks.paper import positions_digest
from tasks.protocol.digest import digest
from tasks.protocol.records import Record
from tests.faults.cases import CASES
from tests.soak.committed import Committed, Violation
from tests.soak.reference import Expected
from tests.soak.rounds import IDS, PAUSE_MS, Rounds
from tests.soak.samples import ENOUGH, series
from tests.soak.soak import Options, Soak

#: Of time; the long form.
MINUTES = float(os.environ.get("SOAK_MINUTES", "15"))
QUICK = [case for case in CASES if case.name in {"child killed: just committed", "junk in the queue"}]


@pytest.mark.ci
@pytest.mark.timeout(900)
def test_a_recording_is_fed_twice_under_faults_and_each_time_compared(capsys):
    options = Options(hours=0.15, pace=60, check_minutes=0.08, frames_per_second=300, faults=QUICK)
    with capsys.disabled():
        outcome = Soak(options, print).run()
    assert outcome.violation is None, outcome
    assert (len(outcome.checks), outcome.interrupted) == (2, False)
    assert sum(outcome.faults.values()) >= 1
    assert outcome.checks[0].signals < outcome.checks[1].signals


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.timeout(MINUTES * 300 + 900)
def test_after_minutes_of_random_faults_all_is_equal_and_flat(capsys):
    options = Options(hours=MINUTES / 60 * 2, pace=2, check_minutes=MINUTES / 5)
    with capsys.disabled():
        outcome = Soak(options, print).run()
    assert outcome.violation is None, outcome


class Reader:
    """A ledger with these signals, and nothing else."""

    keys = LedgerKeys("test")

    def __init__(self, signals: list[bytes]) -> None:
        self._signals = signals
        self.trimmed = 0

    def entries(self, stream: str, _field: bytes, start: str) -> Iterator[tuple[str, bytes]]:
        """Yield them from an entry on, as the ledger's reader does."""
        if stream == self.keys.signals:
            begins = max(self.trimmed, 0 if start == "-" else int(start))
            yield from ((str(number), self._signals[number]) for number in range(begins, len(self._signals)))

    def is_trimmed(self, stream: str) -> bool:
        """Return whether it was."""
        return self.trimmed > 0 and stream == self.keys.signals

    def records(self) -> Iterator[tuple[str, str, Record]]:
        """Yield none."""
        yield from ()

    accounts = records


SIGNALS = [b'{"event_time_ms":1,"id":"a"}', b'{"event_time_ms":2,"id":"b"}', b'{"event_time_ms":3,"id":"c"}']


def expected(signals: list[bytes]) -> Expected:
    return Expected(0, 0, len(signals), digest(signals, []), positions_digest([], []))


def compare(committed: Committed, signals: list[bytes]) -> int:
    return committed.compare(expected(signals), 0, 0).signals


def test_signals_are_compared_from_the_beginning_and_read_once():
    reader = Reader(SIGNALS[:2])
    committed = Committed(reader)  # type: ignore[arg-type]  # what it reads of one
    assert compare(committed, SIGNALS[:2]) == 2
    reader._signals, reader.trimmed = SIGNALS, 1
    assert compare(committed, SIGNALS) == 3


@pytest.mark.parametrize("read", [0, 2])
def test_signals_that_were_trimmed_unread_are_no_missing_signals(read):
    reader = Reader(SIGNALS[:read])
    committed = Committed(reader)  # type: ignore[arg-type]  # what it reads of one
    compare(committed, SIGNALS[:read])
    reader._signals, reader.trimmed = [*SIGNALS, *SIGNALS], 3
    with pytest.raises(Violation, match="trimmed before"):
        compare(committed, [*SIGNALS, *SIGNALS])


@pytest.mark.parametrize(
    ("found", "said"),
    [(SIGNALS[:2], "2 signals instead of 3"), ([*SIGNALS[:2], SIGNALS[2].replace(b"3", b"4")], "the digest is ")],
)
def test_a_signal_that_is_missing_or_another_is_a_violation(found, said):
    with pytest.raises(Violation, match=said):
        compare(Committed(Reader(found)), SIGNALS)  # type: ignore[arg-type]  # what it reads of one


def test_rounds_of_a_recording_differ_in_times_and_ids_only(tmp_path: Path):
    file = tmp_path / "one.jsonl"
    line = (
        '{"stream":"btcusdt@trade","data":{"E":%d,"T":%d,"t":%d,"u":%d,"U":%d,"pu":%d,"lastUpdateId":%d,"q":"5"},'
        '"received_at":%d}'
    )
    file.write_text(line % (1, 2, 3, 4, 5, 6, 7, 8) + "\n")
    again = line % (1 + PAUSE_MS, 2 + PAUSE_MS, *(number + IDS for number in range(3, 8)), 8 + PAUSE_MS * 1_000_000)
    lines = list(Rounds.read(file).lines(0, 2))
    assert [each.raw for each in lines] == [(line % (1, 2, 3, 4, 5, 6, 7, 8)).encode(), again.encode()]
    assert lines[1].received_at_ns - lines[0].received_at_ns == PAUSE_MS * 1_000_000


def test_fewer_lines_are_taken_evenly_from_a_recording(recording: Path):
    rounds, fewer = Rounds.read(recording), Rounds.read(recording, 100)
    assert len(fewer.recording) == 100
    assert fewer.recording[50] == rounds.recording[len(rounds.recording) // 2]
    assert abs(fewer.round_ms - rounds.round_ms) < 2_000


def test_what_is_higher_in_the_last_third_than_in_the_middle_one_grows():
    steady, rising = [100.0] * ENOUGH, [100.0 + each for each in range(ENOUGH * 3)]
    assert series("worker-1 MiB", steady).flat
    assert not series("worker-1 MiB", rising).flat
    assert series("worker-1 MiB", rising[: ENOUGH - 1]).flat, "too few to say so"
    assert series("worker-1 MiB", [*rising[:ENOUGH], *steady, *steady]).flat, "what it takes to start"
    assert series("worker-1 MiB", [*steady, *steady[:-1], 900.0]).flat, "a peak"
    assert series("positions entries", rising).flat, "kept by design"
    assert series("result keys", rising).flat, "as many as there are batches"
