"""The files beside the Kubernetes manifests, and what they must agree with."""

import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import kubernetes_validate  # type: ignore[import-untyped]  # it has no types
import pytest
import yaml

from compose.local.processes import ROOT
from compose.local.servers import _nats_server
from tasks import configuration
from tasks.telemetry import metrics
from tests import render_manifests
from tests.support.deployment.manifests import COMPONENTS, K8S, OVERLAYS, RENDERED, Object, render
from tests.support.needs import missing

COPIES = ("base/strategies.toml", "components/monitoring/rules.yaml")
SCALED = ("depth", "trade")


def secrets() -> dict[str, dict[str, str]]:
    template = yaml.safe_load_all((K8S / "secrets.yaml").read_text())
    return {each["metadata"]["name"]: each["stringData"] for each in template}


def examples(name: str) -> list[Object]:
    return list(yaml.safe_load_all((K8S / "examples" / name).read_text()))


def trigger(pool: str) -> Object:
    (found,) = [
        each
        for each in render("all components").get("ScaledObject", f"worker-{pool}")["spec"]["triggers"]
        if each["type"] == "prometheus"
    ]
    return dict(found["metadata"])


def test_the_copies_are_those_that_the_script_writes(tmp_path: Path):
    for name in ("tasks/strategies.toml", "compose/observability/rules.yaml", "k8s/copies.sh"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in COPIES:
        (tmp_path / "k8s" / name).parent.mkdir(parents=True)
    subprocess.run([tmp_path / "k8s" / "copies.sh"], check=True, timeout=10)
    for name in COPIES:
        assert (K8S / name).read_text() == (tmp_path / "k8s" / name).read_text(), "run k8s/copies.sh"


def test_the_rendering_that_all_tests_read_is_current():
    if not render_manifests.kubectl():
        missing("whether tests/data/manifests.jsonl is current can't be told without kubectl, 1.30 or newer")
    assert RENDERED.read_text() == render_manifests.text(), "python -m tests.render_manifests"


def test_the_rules_in_the_cluster_are_those_of_compose():
    compose = yaml.safe_load((ROOT / "compose" / "observability" / "rules.yaml").read_text())
    assert render("monitoring").get("PrometheusRule", "realtime-strategies")["spec"] == compose


def test_a_job_that_the_rules_name_is_one_that_the_monitors_make():
    manifests = render("all components")
    named = set(re.findall(r'job="(\w+)"', (K8S / "components" / "monitoring" / "rules.yaml").read_text()))
    made = {
        workload.labels[monitor["spec"]["jobLabel"]]
        for monitor in manifests.of("PodMonitor")
        for workload in manifests.selected(monitor["spec"]["selector"])
    }
    assert made == {"ingest", "worker", "deliver"}
    assert named <= made


@pytest.mark.parametrize("pool", SCALED)
def test_keda_asks_for_the_age_of_its_own_pools_lanes_here(pool: str):
    query = trigger(pool)["query"]
    name, namespace, lanes = re.fullmatch(r'max\((\w+)\{namespace="(.+)", lane=~"(.+)"\}\)', query).groups()  # type: ignore[union-attr]
    assert metrics.INGEST[name].labels == ("lane",)
    assert namespace == render("all components").of("Namespace")[0]["metadata"]["name"]
    pools = configuration.read(K8S / "base" / "strategies.toml").routes()
    assert {each.pool for one in pools for each in one.lanes if re.fullmatch(lanes, str(each))} == {pool}


@pytest.mark.parametrize("pool", SCALED)
def test_keda_and_the_autoscaler_that_it_replaces_scale_alike(pool: str):
    ours = render("base").get("HorizontalPodAutoscaler", f"worker-{pool}")["spec"]
    keda = render("keda").get("ScaledObject", f"worker-{pool}")["spec"]
    assert (keda["minReplicaCount"], keda["maxReplicaCount"]) == (ours["minReplicas"], ours["maxReplicas"])
    assert keda["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == ours["behavior"]
    assert keda["scaleTargetRef"] == ours["scaleTargetRef"]
    assert not render("keda").of("HorizontalPodAutoscaler")


def test_nats_takes_its_configuration(tmp_path: Path):
    text = (K8S / "components" / "nats" / "nats.conf").read_text().replace("/jetstream", str(tmp_path))
    (tmp_path / "nats.conf").write_text(text)
    done = subprocess.run(
        [_nats_server(), "-t", "--config", tmp_path / "nats.conf"],
        capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_template_of_the_secrets_holds_no_password_of_anybody():
    assert secrets()["flower"] == {"basic_auth": "admin:FLOWER-PASSWORD"}
    assert secrets()["redis"] == {"password": "REDIS-PASSWORD", "redis.conf": "requirepass REDIS-PASSWORD\n"}
    assert secrets()["servers"] == {
        "nats_url": "nats://nats:4222",
        "redis_url": "redis://:REDIS-PASSWORD@redis:6379/0",
    }


@pytest.mark.parametrize("server", ["nats", "redis"])
def test_the_addresses_in_the_template_are_those_of_the_components(server: str):
    address = urlsplit(secrets()["servers"][f"{server}_url"])
    service = render("overlays/kind").get("Service", str(address.hostname))
    assert address.port in {port["port"] for port in service["spec"]["ports"]}


def test_the_example_of_external_secrets_has_every_key_of_the_template():
    made = {each["spec"]["target"]["name"]: each["spec"]["data"] for each in examples("external-secrets.yaml")}
    for name in ("servers", "flower"):
        assert {each["secretKey"] for each in made[name]} == secrets()[name].keys()
    (ingest,) = [each for each in render("api").workloads if each.name == "ingest"]
    (volume,) = [each for each in ingest.pod["volumes"] if each["name"] == "api"]
    assert made[volume["secret"]["secretName"]][0]["secretKey"] == volume["secret"]["items"][0]["key"]


def test_the_example_of_an_ingress_leads_to_ingests_service():
    ingress, policy, *certificates = examples("ingress.yaml")
    for each in (ingress, policy):
        kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
    (path,) = ingress["spec"]["rules"][0]["http"]["paths"]
    service = render("base").get("Service", path["backend"]["service"]["name"])
    assert path["backend"]["service"]["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}
    assert policy["spec"]["podSelector"]["matchLabels"] == service["spec"]["selector"]
    assert {each["spec"]["secretName"] for each in certificates} == {"nats-tls", "redis-tls"}


def test_the_page_names_every_component_overlay_and_example():
    page = (K8S / "README.md").read_text()
    assert all(
        f"`{name}`" in page for name in (*COMPONENTS, *OVERLAYS, *(each.name for each in (K8S / "examples").iterdir()))
    )
