"""What is found is served at once, logged once when it appears and once when it is over."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from compose.local.processes import ROOT
from ingest.monitoring.findings import OVER_S, Check, Findings
from tasks.protocol import ingest_status
from tasks.protocol.findings import NAMES, Finding, untaken, workforce
from tasks.protocol.ingest_status import IngestStatus

WARNING = Finding("warning", "queue a", "no worker", "start one", "queue_unserved")
FAULT = Finding("fault", "NATS", "unavailable", "start it", "nats_away")


class WatchedCheck:
    """One check whose findings and time the test sets."""

    def __init__(self, *, logs: bool = True) -> None:
        self.now_s = 100.0
        self.found: list[Finding] = []
        its: list[Check] = [lambda: self.found]
        self.findings = Findings(*its if logs else (), logged_elsewhere=() if logs else its, now=lambda: self.now_s)

    def seen_after(self, seconds: float, *found: Finding) -> list[Finding]:
        self.now_s += seconds
        self.found = list(found)
        return self.findings.current()


def test_the_findings_of_all_checks_are_given_faults_first():
    assert Findings(lambda: [WARNING], lambda: [FAULT]).current() == [FAULT, WARNING]


def test_the_log_says_once_that_a_finding_begins_and_once_that_it_ends():
    watched = WatchedCheck()
    with capture_logs() as logs:
        for _ in range(3):
            watched.seen_after(1, WARNING)
        watched.seen_after(1)
        watched.seen_after(OVER_S)
        watched.seen_after(OVER_S)
    told = [(line["event"], line["log_level"], line["name"], line["what"]) for line in logs]
    assert told == [
        ("finding", "warning", "queue_unserved", "queue a"),
        ("finding is over", "info", "queue_unserved", "queue a"),
    ]
    assert logs[1]["lasted_s"] == 2.0


def test_what_comes_and_goes_is_logged_once():
    watched = WatchedCheck()
    with capture_logs() as logs:
        for _ in range(5):
            watched.seen_after(OVER_S / 2, WARNING)
            assert watched.seen_after(OVER_S / 4) == []
    assert [line["event"] for line in logs] == ["finding"]


def test_a_check_that_logs_by_itself_is_not_logged_again():
    watched = WatchedCheck(logs=False)
    with capture_logs() as logs:
        assert watched.seen_after(0, FAULT) == [FAULT]
        watched.seen_after(2 * OVER_S)
    assert logs == []


def test_a_check_that_fails_leaves_the_others_as_they_are():
    def broken() -> Iterator[Finding]:
        yield WARNING
        raise ZeroDivisionError

    findings = Findings(broken, lambda: [FAULT])
    with capture_logs() as logs:
        assert findings.current() == [FAULT]
    assert [line["event"] for line in logs] == ["unexpected error: a check failed", "finding"]


def names_in(file: Path) -> Iterable[str]:
    """Yield the names of the findings that a module makes, where they stand in it word for word."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
            given = [*node.args[4:], *(keyword.value for keyword in node.keywords if keyword.arg == "name")]
            yield from (str(value.value) for value in given if isinstance(value, ast.Constant))


def test_every_name_of_a_finding_stands_in_the_list():
    files = [*(ROOT / "ingest").rglob("*.py"), *(ROOT / "tasks").rglob("*.py")]
    named = {name for file in files for name in names_in(file)}
    assert {"no_workers", "standing_by", "lanes_stuck"} <= named <= set(NAMES)


def test_the_docs_tell_of_every_name_when_it_is_found():
    table = (ROOT / "docs" / "observability.md").read_text().partition("| `name` | sign |")[2].partition("\n\n")[0]
    told = [name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1] if row else "")]
    assert sorted(told) == sorted(NAMES)


@pytest.mark.parametrize(
    ("listening", "found"),
    [
        ([{"a", "b"}], []),
        ([{"a"}, {"b"}], []),
        ([{"a"}, set()], [("queue_unserved", "queue b")]),
        ([set()], [("queue_unserved", "queue a"), ("queue_unserved", "queue b")]),
        ([], [("no_workers", "workers")]),
    ],
)
def test_a_queue_to_which_no_worker_listens_is_found(listening: list[set[str]], found: list[tuple[str, str]]):
    its = list(workforce(listening, ["a", "b"], "./run celery"))
    assert [(finding.name, finding.what) for finding in its] == found
    assert all(finding.do == "start one: `./run celery -A tasks worker -Q a,b`" for finding in its)


def test_the_answer_on_nats_holds_findings_and_is_read_without_them():
    """An answer of a release that knew no findings can be read too."""
    told = IngestStatus(1, 2, 3, [WARNING, FAULT])
    assert ingest_status.decode(ingest_status.encode(told)) == told
    assert ingest_status.decode(b'{"held_bytes":1,"bound_bytes":2,"held_frames":3}') == IngestStatus(1, 2, 3, None)


def test_skipped_kinds_that_pools_can_take_are_told_most_frequent_first():
    skipped = {"aggTrade": 6_000, "24hrTicker": 9, "open_kline": 5, "markPriceUpdate": 7_000, "liquidation": 1}
    assert untaken(skipped) == [
        "7,000 frames of kind markPriceUpdate were skipped: to use them, name mark_price in a pool's kinds",
        "6,000 frames of kind aggTrade were skipped: to use them, name agg_trade in a pool's kinds",
        "1 frame of kind liquidation was skipped: to use them, name liquidation in a pool's kinds",
    ]
