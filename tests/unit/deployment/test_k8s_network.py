"""Which connections the network policies allow: all that a process needs, and no other."""

from collections.abc import Iterator
from copy import deepcopy
from itertools import product
from typing import Any, NamedTuple

import pytest

from tests.support.deployment.manifests import RENDERINGS, Manifests, Object, matches, render

PORTS = (53, 80, 443, 4222, 5555, 6379, 8080, 8081, 8082, 8222, 9090)


class Pod(NamedTuple):
    """One end of a connection."""

    role: str
    namespace: str
    labels: dict[str, str]


class AllowedConnection(NamedTuple):
    """Who may reach whom."""

    source: str
    target: str
    port: int


DNS = Pod("dns", "kube-system", {"k8s-app": "kube-dns"})
PROMETHEUS = Pod("prometheus", "monitoring", {"app.kubernetes.io/name": "prometheus"})
#: In namespaces of their own, as the production overlay expects them.
SERVERS = tuple(Pod(name, name, {"app.kubernetes.io/name": name}) for name in ("nats", "redis"))
NEEDED = {
    AllowedConnection("ingest", "nats", 4222),
    AllowedConnection("ingest", "redis", 6379),
    AllowedConnection("worker", "redis", 6379),
    AllowedConnection("flower", "redis", 6379),
    AllowedConnection("feed", "nats", 4222),
}
#: Of the component `deliver`.
DELIVERING = {AllowedConnection("deliver", "redis", 6379)}
#: Of the component `research`.
SWEEPING = {AllowedConnection("research", "nats", 4222), AllowedConnection("research", "redis", 6379)}
SCRAPED = {
    AllowedConnection("prometheus", role, port)
    for role, port in (("ingest", 8080), ("worker", 8081), ("deliver", 8082))
}


def here(manifests: Manifests) -> str:
    name: str = manifests.of("Namespace")[0]["metadata"]["name"]
    return name


def pods(manifests: Manifests, rendering: str) -> list[Pod]:
    """Return a pod of each workload, two strangers, and what there is elsewhere."""
    ours = [Pod(each.role, here(manifests), dict(each.labels)) for each in manifests.workloads]
    strangers = [Pod("stranger", here(manifests), {}), Pod("stranger", "default", {})]
    return [*ours, *strangers, DNS, PROMETHEUS, *(SERVERS if rendering == "overlays/production" else ())]


def is_peer(peer: Object, pod: Pod, home: str) -> bool:
    namespaces = peer.get("namespaceSelector", {"matchLabels": {"kubernetes.io/metadata.name": home}})
    there = {"kubernetes.io/metadata.name": pod.namespace}
    return matches(namespaces, there) and matches(peer.get("podSelector", {}), pod.labels)


def passes(manifests: Manifests, own: Pod, other: Pod, port: int, way: str) -> bool:
    """Return whether the policies of the pod `own` let a connection to or from `other` pass; `way`: Ingress or Egress."""
    home, ends = here(manifests), {"Ingress": "from", "Egress": "to"}[way]
    if own.namespace != home:
        return True
    applying = [
        each["spec"]
        for each in manifests.of("NetworkPolicy")
        if way in each["spec"]["policyTypes"] and matches(each["spec"]["podSelector"], own.labels)
    ]
    return not applying or any(
        any(is_peer(peer, other, home) for peer in rule.get(ends, [{"namespaceSelector": {}}]))
        and any(allowed["port"] == port for allowed in rule.get("ports", [{"port": port}]))
        for spec in applying
        for rule in spec.get(way.lower(), ())
    )


def opened(manifests: Manifests, rendering: str) -> Iterator[AllowedConnection]:
    """Yield every connection that passes and has at least one end here."""
    there = pods(manifests, rendering)
    for source, target, port in product(there, there, PORTS):
        ours = here(manifests) in {source.namespace, target.namespace}
        if (
            ours
            and passes(manifests, source, target, port, "Egress")
            and passes(manifests, target, source, port, "Ingress")
        ):
            yield AllowedConnection(source.role, target.role, port)


def expected(manifests: Manifests, rendering: str) -> set[AllowedConnection]:
    there = {each.role for each in pods(manifests, rendering)}
    ours = {each.role for each in manifests.workloads} | {"stranger"}
    wanted = NEEDED | DELIVERING | SWEEPING | (SCRAPED if manifests.of("PodMonitor") else set())
    return {each for each in wanted if {each.source, each.target} <= there} | {
        AllowedConnection(each, "dns", 53) for each in ours
    }


@pytest.mark.parametrize("rendering", RENDERINGS)
def test_every_connection_that_is_needed_is_allowed_and_no_other(rendering: str):
    manifests = render(rendering)
    assert set(opened(manifests, rendering)) == expected(manifests, rendering)


def test_the_kind_overlay_has_a_server_behind_every_connection():
    manifests = render("overlays/kind")
    assert expected(manifests, "overlays/kind") >= NEEDED


@pytest.mark.parametrize(
    ("policy", "change"),
    [
        ("default-deny", {"podSelector": {"matchLabels": {"no": "body"}}}),
        ("to-redis", {"egress": []}),
        ("to-redis", {"egress": [{}]}),
        ("redis", {"ingress": [{"ports": [{"protocol": "TCP", "port": 6379}]}]}),
        ("nats", {"policyTypes": ["Egress"]}),
        ("scrape-worker", {"ingress": [{"from": [{"namespaceSelector": {}}]}]}),
    ],
)
def test_a_hole_or_a_missing_way_is_found(policy: str, change: dict[str, Any]):
    manifests = Manifests(deepcopy(render("all components")))
    manifests.get("NetworkPolicy", policy)["spec"].update(change)
    assert set(opened(manifests, "")) != expected(manifests, "")


def test_policies_speak_udp_to_name_servers_only():
    for each in render("all components").of("NetworkPolicy"):
        rules = [*each["spec"].get("ingress", ()), *each["spec"].get("egress", ())]
        protocols = {port["protocol"] for rule in rules for port in rule["ports"]}
        assert protocols <= {"TCP"} or each["metadata"]["name"] == "dns"
