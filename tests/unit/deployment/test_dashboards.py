"""Rules, their cases and the dashboard name metrics that exist; the files of the profile `observability` fit together."""

import configparser
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from compose import passwords
from compose.local.processes import ROOT
from tasks.settings import Settings
from tasks.telemetry.metrics import BUILD_INFO, DELIVER, INGEST, LATENCY_BUCKETS_S, WORKER, Metric
from tests.unit.deployment.test_rules import ALERTS, CASES, GROUPS, HERE, promtool

METRICS: dict[str, Metric] = {
    sample: metric
    for metric in [BUILD_INFO, *INGEST.values(), *WORKER.values(), *DELIVER.values()]
    for sample in metric.samples
}
RECORDED = {rule["record"] for group in GROUPS for rule in group["rules"] if "record" in rule}
#: Names that Prometheus gives itself, and their labels.
OF_PROMETHEUS = {"up": (), "ALERTS": ("alertname", "alertstate")}
OURS = re.compile(
    r"\b(?:(?:ingest|worker|deliver|pipeline|realtime_strategies)[_:][a-z0-9_:]+|strategy_(?:pnl|drawdown|hit_rate)\b)"
)
DASHBOARD = json.loads((HERE / "grafana" / "dashboards" / "pipeline.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
SERVICES = yaml.safe_load((ROOT / "compose" / "stack.yaml").read_text())["services"]


def labels_of(name: str) -> set[str]:
    """Return the labels that a sample of ours may be asked for. Raises KeyError for one that nobody exports."""
    if name in RECORDED:
        return set()
    own = {"le"} if name.endswith("_bucket") else set()
    return own | {"instance", "job"} | set(METRICS[name].labels if name in METRICS else OF_PROMETHEUS[name])


def check(expression: str, text: str = "") -> None:
    """Compare every metric of an expression, and every label in it and in the text beside it, with the table."""
    names = set(OURS.findall(expression)) | (OF_PROMETHEUS.keys() & set(re.findall(r"\w+", expression)))
    assert names, expression
    asked = {name for group in re.findall(r"by \(([^)]*)\)", expression) for name in group.split(", ")}
    asked |= set(re.findall(r"\$labels\.(\w+)", text)) | set(re.findall(r"\{\{(\w+)\}\}", text))
    assert asked <= set().union(*map(labels_of, names)), (asked, expression)
    for name, matchers in re.findall(r"([\w:]+)\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)=", matchers)) <= labels_of(name), expression


def drawn() -> Iterator[tuple[str, str]]:
    """Yield each expression of the dashboard with its legend."""
    for panel in PANELS:
        for target in panel.get("targets", ()):
            yield target["expr"], target["legendFormat"]


def test_rules_name_only_metrics_and_labels_that_are_exported():
    for group in GROUPS:
        for rule in group["rules"]:
            check(rule["expr"], " ".join(rule.get("annotations", {}).values()))


def test_the_dashboard_names_only_metrics_and_labels_that_are_exported():
    for expression, legend in drawn():
        check(expression, legend)


def test_a_check_of_names_finds_a_wrong_metric_and_a_wrong_label():
    with pytest.raises(KeyError):
        check("rate(ingest_frames[5m])")
    with pytest.raises(AssertionError):
        check("sum by (symbol) (ingest_workers)")
    with pytest.raises(AssertionError):
        check('ingest_workers{pool="depth"}')
    with pytest.raises(AssertionError):
        check("ingest_workers", "{{lane}}")


def test_the_cases_of_the_rules_have_exactly_the_labels_that_are_exported():
    for case in CASES:
        for each in case["input_series"]:
            name, labels = re.fullmatch(r"(\w+)\{(.*)\}", each["series"]).groups()  # type: ignore[union-attr]  # or fail
            assert set(re.findall(r"(\w+)=", labels)) == labels_of(name), each["series"]


def test_every_metric_is_drawn():
    names = {name for expression, _ in drawn() for name in OURS.findall(expression)}
    assert {metric.name for metric in METRICS.values()} == {METRICS[name].name for name in names - RECORDED}


def test_what_is_recorded_is_used():
    used = {name for expression, _ in drawn() for name in OURS.findall(expression)}
    used |= {name for alert in ALERTS.values() for name in OURS.findall(alert["expr"])}
    recording = {name for group in GROUPS for rule in group["rules"] for name in OURS.findall(rule["expr"])}
    assert used | recording >= RECORDED


def test_the_bound_of_the_service_level_is_the_bound_of_a_bucket():
    bounds = {float(bound) for bound in re.findall(r'le="([^"]+)"', str(GROUPS))}
    assert bounds == {0.1}
    assert bounds <= set(LATENCY_BUCKETS_S)


def test_promtool_can_read_every_expression_of_the_dashboard(tmp_path: Path):
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "1m")}
        for number, (expression, _) in enumerate(drawn())
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", file)


def test_no_panel_lies_on_another_one():
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in PANELS)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


def test_every_panel_that_draws_asks_the_provisioned_source():
    provisioned = yaml.safe_load((HERE / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    [source] = provisioned["datasources"]
    for panel in PANELS:
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": source["type"], "uid": source["uid"]}
    assert source["url"] == "http://prometheus:9090"


def test_grafana_finds_the_dashboard_and_lets_nobody_in_without_password(tmp_path: Path):
    mounts = {
        target: HERE.parents[1] / file
        for file, target, *_ in (each.split(":") for each in SERVICES["grafana"]["volumes"])
    }
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(mounts["/etc/grafana/grafana.ini"])
    [provider] = yaml.safe_load((HERE / "grafana/provisioning/dashboards/pipeline.yaml").read_text())["providers"]
    home = Path(settings["dashboards"]["default_home_dashboard_path"])
    assert (mounts[provider["options"]["path"]] / home.name).is_file()
    assert settings["auth.anonymous"]["enabled"] == settings["users"]["allow_sign_up"] == "false"
    (tmp_path / "roles").mkdir()
    passwords.write(tmp_path, tmp_path / "roles", {})
    password = re.fullmatch(r"\$__file\{/run/passwords/(\w+)\}", settings["security"]["admin_password"])
    assert password
    assert len((tmp_path / "roles" / "grafana" / password[1]).read_text()) == 32


def test_prometheus_scrapes_ingest_workers_and_deliveries_on_their_ports():
    """Its jobs have the names that the rules use."""
    jobs = {job["job_name"]: job for job in yaml.safe_load((HERE / "prometheus.yaml").read_text())["scrape_configs"]}
    assert set(re.findall(r'job="(\w+)"', str(GROUPS))) <= set(jobs) == {"ingest", "worker", "deliver"} <= set(SERVICES)
    ports = ("http_port", "worker_http_port", "deliver_http_port")
    defaults = {name: Settings.model_fields[name].default for name in ports}
    assert jobs["ingest"]["static_configs"] == [{"targets": [f"ingest:{defaults['http_port']}"]}]
    for name in ("worker", "deliver"):
        [found] = jobs[name]["dns_sd_configs"]
        assert (found["names"], found["type"], found["port"]) == ([name], "A", defaults[f"{name}_http_port"])


def test_the_collector_uses_what_it_defines_and_listens_as_in_the_example():
    collector = yaml.safe_load((HERE / "collector.yaml").read_text())
    for pipeline in collector["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            assert set(names) == collector[kind].keys()
    port = collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"].rpartition(":")[2]
    assert f"http://collector:{port}" in (ROOT / ".env.example").read_text()


def test_nothing_of_the_profile_starts_without_it():
    assert {name for name, service in SERVICES.items() if service.get("profiles") == ["observability"]} == {
        "prometheus",
        "grafana",
        "collector",
    }
