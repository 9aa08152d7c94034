"""What the alerts promise. promtool runs their cases: see compose/observability/rules_test.yaml."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from compose.local.processes import ROOT
from tasks.cli.main import app
from tests.support.needs import missing

HERE = ROOT / "compose" / "observability"
GROUPS = yaml.safe_load((HERE / "rules.yaml").read_text())["groups"]
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule
}
CASES = [case for file in HERE.glob("*_test.yaml") for case in yaml.safe_load(file.read_text())["tests"]]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
each_alert = pytest.mark.parametrize("name", ALERTS)


def promtool(*arguments: str | Path) -> str:
    """Run it, and fail with what it says when it finds a fault."""
    program = shutil.which("promtool")
    if not program:
        missing("there is no promtool here: Debian has it in the package prometheus")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_accepts_the_rules_and_the_configuration_that_loads_them():
    assert "1 rule files found" in promtool("check", "config", HERE / "prometheus.yaml")


@pytest.mark.parametrize(
    "file", ["rules_test.yaml", "rules_hours_test.yaml", pytest.param("rules_days_test.yaml", marks=pytest.mark.slow)]
)
def test_alerts_fire_when_they_must_and_stay_quiet_when_they_must_not(file: str):
    assert "SUCCESS" in promtool("test", "rules", HERE / file)


def test_each_file_of_cases_is_run():
    assert {file.name for file in HERE.glob("*_test.yaml")} == {
        "rules_test.yaml",
        "rules_hours_test.yaml",
        "rules_days_test.yaml",
    }


@each_alert
def test_an_alert_has_a_case_in_which_it_fires_and_a_near_miss_of_its_own(name: str):
    own = [expected for case in CASES if case["name"].startswith(f"{name} ") for expected in case["alert_rule_test"]]
    assert {expected["alertname"] for expected in own} == {name}
    assert {bool(expected["exp_alerts"]) for expected in own} == {True, False}


def test_nothing_fires_on_a_fresh_start_without_a_feed():
    [idle] = [case for case in CASES if case["name"] == "nothing fires on a fresh start without a feed"]
    assert {expected["alertname"] for expected in idle["alert_rule_test"] if not expected["exp_alerts"]} == set(ALERTS)


@each_alert
def test_an_alert_says_how_urgent_it_is_what_is_wrong_and_where_to_read_on(name: str):
    alert = ALERTS[name]
    assert alert["labels"] in ({"severity": "page"}, {"severity": "ticket"})
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"


def test_the_runbook_has_one_section_an_alert_in_the_order_of_the_rules():
    assert re.findall(r"^### (.+)$", RUNBOOK, re.MULTILINE) == list(ALERTS)


@each_alert
def test_each_runbook_section_says_where_to_look_what_to_do_and_what_not(name: str):
    section = re.split(r"^##", RUNBOOK.partition(f"### {name}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    assert re.findall(r"^\*\*(.+?)\.\*\*", section, re.MULTILINE) == ["Look", "Do", "Don't"]


def test_every_command_of_the_runbook_exists():
    commands = set(re.findall(r"\./run tasks((?: [a-z]+)+)", RUNBOOK))
    assert commands
    for words in commands:
        command: Any = typer.main.get_command(app)
        for word in words.split():
            if not hasattr(command, "commands"):
                break  # the rest are arguments
            assert word in command.commands, f"./run tasks{words}"
            command = command.commands[word]
