"""The reference pages hold all that there is."""

import re
from collections.abc import Iterator

import pytest

from compose.local.processes import ROOT
from ingest.api.routes import ROUTES
from tasks.cli.commands import TABLE
from tasks.cli.lazy_commands import LazyCommands, Table
from tasks.configuration import catalog
from tasks.engine.signal_message import SignalMessage
from tasks.settings import Settings
from tasks.strategy import HOOKS
from tasks.telemetry.metrics import INGEST, WORKER
from website.reference import PAGES, alerts, markdown


def headings(place: str) -> list[str]:
    return re.findall(r"^##+ (.+)$", PAGES[place](), re.MULTILINE)


def paths(table: Table, before: str) -> Iterator[str]:
    for name, each in table.items():
        yield f"{before} {name}"
        if isinstance(each, LazyCommands):
            yield from paths(each.commands, f"{before} {name}")


def test_each_setting_has_its_section():
    assert headings("reference/settings.md") == [name.upper() for name in Settings.model_fields]


def test_a_setting_is_shown_with_default_bounds_unit_and_file():
    page = PAGES["reference/settings.md"]()
    for shown in (
        "Default: `20` · at least 1 · at most 3,600 · in seconds\n",
        "Default: `core` · one of `core`, `jetstream`\n",
        "Default: empty · or in a file that `NATS_PASSWORD_FILE` names\n",
        "Default: `tasks/strategies.toml`\n",
    ):
        assert shown in page
    assert str(ROOT) not in page


def test_each_command_has_its_section():
    found = headings("reference/commands.md")
    assert found[0] == "./run demo"
    assert {*paths(TABLE, "./run tasks")} < {*found}
    assert "./run ingest replay" in found


def test_an_option_is_shown_with_its_help_and_default():
    page = PAGES["reference/commands.md"]()
    assert (
        "| `--workers <int range>` | Number of Celery worker processes.  [default: 2; 1&lt;=x&lt;=64] |"
        in page.replace("processes. [", "processes.  [")
    )


def test_each_metric_is_in_a_table_under_the_name_that_prometheus_has():
    shown = set(re.findall(r"^\| `(\w+)` \|", PAGES["reference/metrics.md"](), re.MULTILINE))
    assert {metric.name + "_total" * (metric.type == "counter") for metric in (INGEST | WORKER).values()} < shown


def test_each_alert_leads_to_its_section_of_the_runbook():
    page = PAGES["reference/alerts.md"]()
    names = [rule["alert"] for rule in alerts.alerts()]
    assert headings("reference/alerts.md") == names
    assert "{{" not in re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    assert re.findall(r"\]\(\.\./runbook\.md#(\w+)\)", page) == [name.lower() for name in names]


def test_each_strategy_is_shown_with_its_parameters():
    assert headings("reference/strategies.md") == list(catalog.builtin_names())
    assert "| `levels` |" in PAGES["reference/strategies.md"]()


def test_each_table_of_the_strategies_file_is_shown():
    page = PAGES["reference/strategies-file.md"]()
    for shown in (
        '| `kinds` | list of `"depth"`',
        "| `killed` | boolean |",
        "| `latency_ms` |",
        "| `maker` | number | at least -10, at most 500 |",
    ):
        assert shown in page


def test_each_field_of_a_signal_is_shown():
    shown = set(re.findall(r"^\| `(\w+)` \|", PAGES["reference/signals.md"](), re.MULTILINE))
    assert {*SignalMessage.model_fields} < shown


def test_each_operation_of_the_api_has_its_section():
    found = {heading for heading in headings("reference/http-api.md") if " /" in heading}
    assert {f"{route.method} /api/v1{route.path}" for route in ROUTES} == found


def test_the_python_api_has_each_method_and_field_that_authors_use():
    page = PAGES["reference/python.md"]()
    for hook in (*HOOKS.values(), "on_bar", "explain", "migrate"):
        assert f"#### {hook}\n" in page
    assert "* `confidence: float`: 0 to 1.\n" in page
    assert (
        "* `notional: float`, by default `100.0`: Order value in quote currency; quantity = notional / price.\n" in page
    )
    assert "* `action: Literal['buy', 'sell', 'hold', 'close']`\n" in page
    assert "<" not in re.sub(r"```.*?```|`[^`]*`", "", page, flags=re.DOTALL)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("needs NATS_PASSWORD", "needs `NATS_PASSWORD`"),
        ("as `--set X_Y` does", "as `--set X_Y` does"),
        ("with --json, a < b", "with `--json`, a &lt; b"),
    ],
)
def test_names_in_texts_of_the_code_are_shown_as_code(text: str, shown: str):
    assert markdown.prose(text) == shown
