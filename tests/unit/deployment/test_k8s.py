"""What the Kubernetes manifests promise, in every rendering; and that the checks find what is broken."""

from copy import deepcopy
from typing import Any

import pytest

from tests.support.deployment import manifest_checks, manifest_scaling
from tests.support.deployment.manifest_checks import Check
from tests.support.deployment.manifests import RENDERINGS, Manifests, render

CHECKS: tuple[Check, ...] = (
    manifest_checks.restricted,
    manifest_checks.accounts,
    manifest_checks.images,
    manifest_checks.resources,
    manifest_checks.environment,
    manifest_checks.research,
    manifest_checks.mounts,
    manifest_checks.selectors,
    manifest_checks.ports,
    manifest_checks.probes,
    manifest_checks.grace,
    manifest_checks.namespaces,
    manifest_scaling.autoscaling,
    manifest_scaling.queues,
    manifest_scaling.single,
    manifest_scaling.standby,
    manifest_scaling.disruption,
)
GONE = object()
POD = "spec.template.spec"
CONTAINER = f"{POD}.containers.0"

# What is broken: object, path in it, new value, and what the checks say then.
BROKEN: tuple[tuple[str, str, Any, str], ...] = (
    ("Deployment/ingest", f"{POD}.securityContext.runAsNonRoot", GONE, "ingest: runAsNonRoot"),
    ("Deployment/ingest", f"{POD}.securityContext.runAsUser", 0, "ingest: runAsNonRoot"),
    ("Deployment/flower", f"{POD}.securityContext.seccompProfile", GONE, "flower: seccomp"),
    ("StatefulSet/redis", f"{CONTAINER}.securityContext.allowPrivilegeEscalation", True, "redis: escalation"),
    ("StatefulSet/nats", f"{CONTAINER}.securityContext.capabilities.drop", [], "nats: capabilities"),
    ("Deployment/worker-depth", f"{CONTAINER}.securityContext.readOnlyRootFilesystem", False, "worker-depth: read-only"),
    ("Deployment/ingest", f"{POD}.hostNetwork", True, "ingest: host"),
    ("Deployment/ingest", f"{POD}.volumes.0", {"name": "tmp", "hostPath": {"path": "/"}}, "ingest: volumes"),
    ("Deployment/ingest", f"{POD}.volumes.0.emptyDir", {}, "ingest: unbounded tmp"),
    ("Deployment/ingest", f"{POD}.automountServiceAccountToken", True, "ingest: token"),
    ("Deployment/ingest", f"{POD}.serviceAccountName", "default", "ingest: no account"),
    ("Deployment/ingest", f"{POD}.enableServiceLinks", GONE, "ingest: service links"),
    ("ServiceAccount/worker", "automountServiceAccountToken", GONE, "worker: the account's token is mounted"),
    ("Deployment/ingest", f"{CONTAINER}.image", "realtime-strategies", "the image realtime-strategies is not pinned"),
    ("Deployment/ingest", f"{CONTAINER}.image", "a:latest", "the image a:latest is not pinned"),
    ("Deployment/ingest", f"{CONTAINER}.resources.limits", GONE, "ingest: resources"),
    ("Deployment/ingest", f"{CONTAINER}.env.0.name", "HTTP_PROT", "ingest: nobody reads HTTP_PROT"),
    ("Deployment/ingest", f"{CONTAINER}.env.0.value", "many", "ingest: 1 validation error"),
    ("Deployment/ingest", f"{CONTAINER}.env.3.value", "/run/elsewhere", "ingest: REDIS_URL_FILE is not mounted"),
    ("Deployment/ingest", f"{POD}.volumes.2.configMap.name", "other", "ingest: no ConfigMap other"),
    ("Deployment/ingest", f"{POD}.volumes.1.secret.items.0.key", "nats", "ingest: no nats in a Secret"),
    ("Deployment/flower", f"{CONTAINER}.env.1.valueFrom.secretKeyRef.key", "auth", "flower: no auth in a Secret"),
    ("Deployment/ingest", f"{CONTAINER}.volumeMounts.0.name", "temp", "ingest: volumes and mounts differ"),
    ("Deployment/flower", "spec.selector.matchLabels", {"app.kubernetes.io/name": "flour"}, "flower: its selector"),
    ("Deployment/worker-trade", f"{POD}.topologySpreadConstraints.0.labelSelector.matchLabels.pool", "x", "its selector"),
    ("Service/ingest", "spec.selector", {"app": "ingest"}, "Service ingest: its selector"),
    ("NetworkPolicy/to-nats", "spec.podSelector.matchLabels", {"app": "x"}, "NetworkPolicy to-nats: its selector"),
    ("PodMonitor/worker", "spec.podMetricsEndpoints.0.port", "metrics", "worker-depth has no port metrics"),
    ("Service/flower", "spec.ports.0.targetPort", "web", "flower has no port web"),
    ("Deployment/ingest", f"{CONTAINER}.ports.0.containerPort", 80, "ingest: HTTP_PORT is not its port"),
    ("Deployment/flower", f"{CONTAINER}.ports.0.containerPort", 80, "flower: --port is not its port"),
    ("Deployment/ingest", f"{CONTAINER}.startupProbe", GONE, "ingest: startupProbe"),
    ("Deployment/ingest", f"{CONTAINER}.livenessProbe.httpGet.path", "/ready", "ingest: livenessProbe asks /ready"),
    ("Deployment/ingest", f"{CONTAINER}.readinessProbe.httpGet.port", "web", "ingest: readinessProbe"),
    ("Deployment/ingest", f"{POD}.terminationGracePeriodSeconds", 30, "ingest: needs 40 s to stop"),
    ("Deployment/worker-depth", f"{POD}.terminationGracePeriodSeconds", 20, "worker-depth: needs 25 s to stop"),
    ("Service/ingest", "metadata.namespace", "default", "Service ingest: not in realtime-strategies"),
    ("Namespace/realtime-strategies", "metadata.labels", {}, "Namespace: not restricted"),
    ("ScaledObject/worker-depth", "spec.scaleTargetRef.name", "worker", "ScaledObject: there is no worker"),
    ("ScaledObject/worker-depth", "spec.scaleTargetRef.name", "worker-trade", "worker-trade: two autoscalers"),
    ("ScaledObject/worker-depth", "spec.maxReplicaCount", 9, "worker-depth: from 3 to 9"),
    ("Deployment/worker-depth", "spec.replicas", 3, "worker-depth: its number has two owners"),
    ("Deployment/worker-basket", "spec.replicas", GONE, "worker-basket: nobody says how many"),
    ("Deployment/worker-depth", f"{CONTAINER}.args", ["--queues=trade"], "worker-depth: celery"),
    ("Deployment/research", f"{CONTAINER}.args", ["--queues=depth"], "research: celery"),
    ("Deployment/research", f"{CONTAINER}.env.4.value", "6000", "research: no room for 6000 MiB"),
    ("Deployment/flower", "spec.replicas", 2, "flower: two of them"),
    ("Deployment/flower", "spec.strategy.type", "RollingUpdate", "flower: two of them"),
    ("Deployment/ingest", "spec.replicas", 1, "ingest: nobody stands by"),
    ("Deployment/ingest", "spec.strategy.rollingUpdate.maxUnavailable", 1, "ingest: nobody stands by"),
    ("PodDisruptionBudget/ingest", "spec.maxUnavailable", 0, "PodDisruptionBudget ingest: holds up every drain"),
    ("PodDisruptionBudget/worker-depth", "spec.selector.matchLabels.pool", "trade", "worker-depth: no budget"),
)  # fmt: skip


def faults(manifests: Manifests) -> list[str]:
    return [fault for check in CHECKS for fault in check(manifests)]


def broken(where: str, path: str, value: Any) -> Manifests:
    """Return a copy of the fullest rendering with one value changed."""
    manifests = Manifests(deepcopy(render("all components")))
    place: Any = manifests.get(*where.split("/"))
    *way, last = [int(step) if step.isdecimal() else step for step in path.split(".")]
    for step in way:
        place = place[step]
    if value is GONE:
        del place[last]
    else:
        place[last] = value
    return manifests


@pytest.mark.parametrize("rendering", RENDERINGS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_manifests_hold(check: Check, rendering: str):
    assert not list(check(render(rendering)))


@pytest.mark.parametrize(("where", "path", "value", "said"), BROKEN)
def test_a_broken_manifest_is_found(where: str, path: str, value: Any, said: str):
    found = faults(broken(where, path, value))
    assert any(said in fault for fault in found), found
