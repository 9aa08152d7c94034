"""The Kubernetes manifests as kustomize renders them."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from compose.local.processes import ROOT

K8S = ROOT / "k8s"
#: A line for each object: in which renderings it is, and the object.
RENDERED = ROOT / "tests" / "data" / "manifests.jsonl"
NAMESPACE = "realtime-strategies"
COMPONENTS = tuple(sorted(each.name for each in (K8S / "components").iterdir()))
OVERLAYS = tuple(sorted(each.name for each in (K8S / "overlays").iterdir()))
#: Every rendering that is checked: the base, each overlay, each component on the base, and all of them on it.
RENDERINGS = ("base", *(f"overlays/{each}" for each in OVERLAYS), *COMPONENTS, "all components")

Object = dict[str, Any]


class Workload(NamedTuple):
    """A Deployment or a StatefulSet."""

    name: str
    spec: Object

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of its pods."""
        labels: dict[str, str] = self.spec["template"]["metadata"]["labels"]
        return labels

    @property
    def role(self) -> str:
        """What its pods do: ingest, worker, research, flower, deliver, feed, nats or redis."""
        return self.labels["app.kubernetes.io/name"]

    @property
    def pod(self) -> Object:
        """The specification of its pods."""
        pod: Object = self.spec["template"]["spec"]
        return pod

    @property
    def container(self) -> Object:
        """The only container of its pods."""
        (container,) = self.pod["containers"]
        assert isinstance(container, dict)
        return container

    @property
    def command(self) -> list[str]:
        """The whole command line."""
        return [*self.container["command"], *self.container.get("args", ())]

    @property
    def ports(self) -> dict[str, int]:
        """Port numbers by name."""
        return {each["name"]: each["containerPort"] for each in self.container.get("ports", ())}


class Manifests(list[Object]):
    """The objects of one rendering."""

    def of(self, *kinds: str) -> list[Object]:
        """Return the objects of these kinds."""
        return [each for each in self if each["kind"] in kinds]

    def get(self, kind: str, name: str) -> Object:
        """Return one object. Raises LookupError."""
        for each in self.of(kind):
            if each["metadata"]["name"] == name:
                return each
        raise LookupError(f"there is no {kind} {name}")

    @property
    def workloads(self) -> list[Workload]:
        """What runs pods."""
        return [Workload(each["metadata"]["name"], each["spec"]) for each in self.of("Deployment", "StatefulSet")]

    def environment(self, workload: Workload) -> dict[str, str]:
        """Return the environment that the files set; what comes from a Secret is empty."""
        found: dict[str, str] = {}
        for source in workload.container.get("envFrom", ()):
            found |= self.get("ConfigMap", source["configMapRef"]["name"])["data"]
        return found | {each["name"]: each.get("value", "") for each in workload.container.get("env", ())}

    def selected(self, selector: Mapping[str, Any]) -> list[Workload]:
        """Return the workloads whose pods a label selector selects."""
        return [each for each in self.workloads if matches(selector, each.labels)]


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether a label selector selects `labels`. Knows matchLabels and the operator In."""
    wanted = {key: [value] for key, value in selector.get("matchLabels", {}).items()}
    for expression in selector.get("matchExpressions", ()):
        assert expression["operator"] == "In"
        wanted[expression["key"]] = expression["values"]
    return all(labels.get(key) in values for key, values in wanted.items())


@cache
def _rendered() -> list[tuple[frozenset[str], Object]]:
    lines = (json.loads(line) for line in RENDERED.read_text(encoding="utf-8").splitlines())
    return [(frozenset(line["in"]), line["object"]) for line in lines]


@cache
def render(name: str) -> Manifests:
    """Return one of `RENDERINGS`, as `tests.render_manifests` has written it down: that alone needs kubectl."""
    return Manifests(each for renderings, each in _rendered() if name in renderings)
