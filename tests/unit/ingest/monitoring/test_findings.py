"""Findings of ingest: their hints, and what the log has of them."""

import pytest
from structlog.testing import capture_logs

from ingest.monitoring.findings import Findings
from tasks import invocation
from tasks.protocol.findings import Finding

STOPPED = Finding("warning", "strategy x", "switched off", "`./run tasks strategies resume x` runs it again", "stopped")


@pytest.mark.parametrize(
    ("called_as", "do"),
    [
        ("./run", "`./run tasks strategies resume x` runs it again"),
        ("/opt/rs/run", "`/opt/rs/run tasks strategies resume x` runs it again"),
    ],
)
def test_a_hint_names_its_command_as_this_process_was_called(monkeypatch, called_as, do):
    monkeypatch.setenv(invocation.VARIABLE, called_as)
    with capture_logs() as lines:
        [found] = Findings(lambda: [STOPPED]).current()
    assert (found.do, found.says) == (do, STOPPED.says)
    assert [line["do"] for line in lines] == [do]
