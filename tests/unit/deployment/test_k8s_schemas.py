"""The Kubernetes manifests against the schemas of Kubernetes, KEDA and the Prometheus operator."""

import importlib
import json
from collections.abc import Iterator
from copy import deepcopy
from functools import lru_cache
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it has no types
import pytest
import yaml
from pydantic import BaseModel, ValidationError

from tests.support.deployment.manifests import K8S, RENDERINGS, Object, render

OLDEST = 30
NEWEST = int(kubernetes_validate.latest_version().split(".")[1])
#: Models that were generated from the custom resource definitions.
CUSTOM = {
    "ScaledObject": "cloudcoil.models.keda.v1alpha1",
    "PodMonitor": "cloudcoil.models.prometheus_operator.v1",
    "PrometheusRule": "cloudcoil.models.prometheus_operator.v1",
}


@pytest.fixture(autouse=True, scope="module")
def schemas_are_read_once() -> Iterator[None]:
    """Without it each object parses megabytes of definitions again."""
    with pytest.MonkeyPatch.context() as patch:
        reader = kubernetes_validate.utils.schema_contents
        patch.setattr(kubernetes_validate.utils, "schema_contents", lru_cache(maxsize=None)(reader))
        yield


def different(*kinds: str) -> list[Object]:
    """Return what the renderings have, each object once; with `kinds` these kinds only, else all that are no custom ones."""
    found = {json.dumps(each, sort_keys=True): each for name in RENDERINGS for each in render(name)}
    return [each for each in found.values() if (each["kind"] in kinds if kinds else each["kind"] not in CUSTOM)]


def model(kind: str) -> type[BaseModel]:
    # Imported by name: mypy would take minutes to read these modules.
    found: type[BaseModel] = getattr(importlib.import_module(CUSTOM[kind]), kind)
    return found


@pytest.mark.parametrize("minor", range(OLDEST, NEWEST + 1))
def test_kubernetes_of_this_version_takes_every_object(minor: int):
    for each in different():
        assert kubernetes_validate.validate(each, f"1.{minor}", strict=True) == f"1.{minor}"


def test_the_template_of_the_secrets_holds_secrets():
    for each in yaml.safe_load_all((K8S / "secrets.yaml").read_text()):
        kubernetes_validate.validate(each, f"1.{NEWEST}", strict=True)


@pytest.mark.parametrize("kind", CUSTOM)
def test_a_custom_object_has_what_its_definition_asks_for_and_no_more(kind: str):
    found = different(kind)
    assert found
    for each in found:
        model(kind).model_validate(each, extra="forbid")


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", ("spec", "replica"), 1),
        ("Deployment", ("spec", "replicas"), "one"),
        ("NetworkPolicy", ("spec", "policyType"), ["Egress"]),
        ("HorizontalPodAutoscaler", ("spec", "maxReplicas"), None),
        ("ScaledObject", ("spec", "triggers"), None),
        ("ScaledObject", ("spec", "minReplicas"), 3),
        ("PodMonitor", ("spec", "podMetricsEndpoints"), "http"),
        ("PrometheusRule", ("spec", "group"), []),
    ],
)
def test_the_schemas_refuse_what_is_wrong(kind: str, path: tuple[str, str], value: Any):
    wrong = deepcopy(next(iter(different(kind))))
    wrong[path[0]][path[1]] = value
    with pytest.raises((kubernetes_validate.ValidationError, ValidationError)):
        model(kind).model_validate(wrong, extra="forbid") if kind in CUSTOM else kubernetes_validate.validate(
            wrong, f"1.{OLDEST}", strict=True
        )
