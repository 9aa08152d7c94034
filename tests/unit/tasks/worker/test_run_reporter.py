"""What a worker reports of its runs."""

from typing import Any

from structlog.testing import capture_logs

from tasks.protocol.counters import Counts
from tasks.protocol.outcome import Outcome
from tasks.telemetry import logs
from tasks.worker.run_note import RunNote, read
from tasks.worker.run_reporter import RunReporter
from tests.support.ledger import batch


def named() -> dict[str, Any]:
    """Return what a line of the log would say of its batch."""
    return dict(logs.add_batch(None, "", {}))


def test_a_batch_is_named_in_the_log_only_while_it_runs():
    reporter, one = RunReporter(), batch(2, partition=5)
    with reporter.running(one):
        assert named()["lane"] == "trade-5"
    assert named() == {}


def test_a_pools_last_batch_tells_how_long_the_next_one_takes():
    reporter, one = RunReporter(), batch(2)
    assert reporter.expected_s(one) == 0
    with reporter.running(one):
        pass
    assert reporter.expected_s(one) > 0


def test_the_note_names_the_batch_that_runs(tmp_path):
    note = RunNote(tmp_path / "solo")
    note.begin()
    assert RunReporter(note).progress(batch(2, partition=5), []) is not None
    noted = read(tmp_path / "solo").batch
    assert noted is not None
    assert (noted.pool, noted.partition) == ("trade", 5)


def test_a_process_without_a_note_writes_no_progress():
    assert RunReporter().progress(batch(2), []) is None


def test_a_lane_that_waits_for_a_newer_worker_is_logged_at_intervals():
    reporter = RunReporter()
    with capture_logs() as lines:
        reporter.newer_state("state of version 9")
        reporter.newer_state("state of version 9")
    assert [line["why"] for line in lines] == ["state of version 9"]


def test_what_was_not_needed_is_in_the_debug_log_with_the_reason():
    with capture_logs() as lines:
        RunReporter().not_needed(batch(2), "repeat")
    assert [(line["event"], line["why"]) for line in lines] == [("batch not needed", "repeat")]


def test_without_tracing_no_signal_belongs_to_a_trace():
    assert RunReporter().ran(0, Outcome({}, [], [], [], Counts())) == []
