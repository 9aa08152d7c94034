"""What ingest says of its own health to other systems."""

import re

import pytest
import yaml

from compose.local.processes import ROOT
from ingest.monitoring.verdicts import REASON_CHARS, Alerts, Verdicts
from tasks.protocol.findings import NAMES, PAGES, Finding

AWAY = Finding("fault", "Redis", "ingest has no connection to it", "start it", "redis_away")
SLOW = Finding("warning", "lanes", "an event has waited", name="lanes_slow")
QUIET = Finding("warning", "feed", "is silent", "see to it", "feed_quiet")


def test_a_verdict_is_unhealthy_while_no_signal_on_new_prices_can_come():
    verdicts = Verdicts()
    assert [verdicts.take([QUIET]).health for _ in range(3)] == ["unknown", "unknown", "unhealthy"]
    assert verdicts.take([QUIET]).reason == "feed: is silent"


def test_a_verdict_is_that_of_ready_after_three_samples_in_a_row():
    verdicts = Verdicts()
    seen = [[SLOW], [], [], [SLOW, AWAY], [], [AWAY], [AWAY], [AWAY], [], [], []]
    said = [verdicts.take(each).health for each in seen]
    assert said == ["unknown"] * 2 + ["healthy"] * 5 + ["unhealthy"] * 3 + ["healthy"]


def test_an_unhealthy_verdict_names_its_fault_also_while_it_ends():
    verdicts = Verdicts()
    reasons = [verdicts.take(each).reason for each in ([AWAY], [AWAY], [AWAY], [])]
    assert reasons[2:] == ["Redis: ingest has no connection to it"] * 2
    long = Finding("fault", "x" * 500, "y")
    assert [len(verdicts.take([long]).reason) for _ in range(3)][-1] == REASON_CHARS


def test_what_pages_is_told_once_until_it_was_over():
    alerts, told = Alerts(), []
    for found in ([AWAY, SLOW], [AWAY], [AWAY, QUIET], [QUIET], [QUIET, AWAY], [], [], [], [AWAY], [AWAY], [AWAY]):
        due = alerts.take(found)
        for each in due:
            alerts.told(each)
        told.append([each.name for each in due])
    assert told == [[], [], ["redis_away"], [], ["feed_quiet"], [], [], [], [], [], ["redis_away"]]


def test_what_was_not_told_stays_due():
    alerts = Alerts()
    due = [alerts.take([AWAY]) for _ in range(5)]
    assert due == [[], [], [AWAY], [AWAY], [AWAY]]


def test_what_is_over_is_forgotten():
    alerts = Alerts()
    for number in range(100):
        alerts.take([Finding("fault", f"key {number}", "x", name="redis_refuses")])
    for _ in range(3):
        alerts.take([])
    assert [len(kept) for kept in vars(alerts).values()] == [0, 0, 0]


@pytest.mark.parametrize("name", sorted(PAGES))
def test_what_pages_is_a_finding(name):
    assert name in NAMES


def test_what_pages_on_nats_is_what_pages_by_the_rules_of_prometheus():
    rules = yaml.safe_load((ROOT / "k8s" / "components" / "monitoring" / "rules.yaml").read_text())
    alerts = [rule for group in rules["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    by_severity: dict[str, set[str]] = {}
    for rule in alerts:
        for names in re.findall(r'ingest_finding{name=~?"([a-z_|]+)"}', rule["expr"]):
            by_severity.setdefault(rule["labels"]["severity"], set()).update(names.split("|"))
    # This one has a metric of its own.
    assert "NoWorkers" in {rule["alert"] for rule in alerts if rule["labels"]["severity"] == "page"}
    assert PAGES - {"no_workers"} <= by_severity["page"]
    assert not PAGES & by_severity["ticket"]
