"""Checks of how many there are of each process in the Kubernetes manifests, and of what a drain may take away."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tests.support.deployment.manifest_checks import pools
from tests.support.deployment.manifests import Manifests, Object, Workload


class Scaler(NamedTuple):
    """What changes the number of a Deployment's pods."""

    kind: str
    target: str
    least: int
    most: int

    @classmethod
    def read(cls, found: Object) -> "Scaler":
        """Read a HorizontalPodAutoscaler or a ScaledObject."""
        spec = found["spec"]
        ends = ("minReplicas", "maxReplicas") if found["kind"] == "HorizontalPodAutoscaler" else _KEDA
        return cls(found["kind"], spec["scaleTargetRef"]["name"], spec[ends[0]], spec[ends[1]])


_KEDA = ("minReplicaCount", "maxReplicaCount")


def autoscaling(manifests: Manifests) -> Iterator[str]:
    """Each number has one owner, and no worker is started for which there can't be a lane."""
    scalers = _scalers(manifests)
    workloads = {each.name: each for each in manifests.workloads}
    targets = [each.target for each in scalers]
    yield from (f"{name}: two autoscalers" for name in set(targets) if targets.count(name) > 1)
    for each in scalers:
        if each.target not in workloads:
            yield f"{each.kind}: there is no {each.target}"
            continue
        if "replicas" in workloads[each.target].spec:
            yield f"{each.target}: its number has two owners"
        if not 1 <= each.least <= each.most <= pools()[workloads[each.target].labels["pool"]]:
            yield f"{each.target}: from {each.least} to {each.most}"
    yield from (
        f"{name}: nobody says how many"
        for name, each in workloads.items()
        if "replicas" not in each.spec and name not in targets
    )


def queues(manifests: Manifests) -> Iterator[str]:
    """Each pool of the strategies file has its workers, one process each."""
    workers = [each for each in manifests.workloads if each.role == "worker"]
    if sorted(each.labels["pool"] for each in workers) != sorted(pools()):
        yield "the workers' pools are not those of the strategies file"
    for each in workers:
        if f"--queues={each.labels['pool']}" not in each.command or "--concurrency=1" not in each.command:
            yield f"{each.name}: {' '.join(each.command)}"


def single(manifests: Manifests) -> Iterator[str]:
    """What must be there once is never there twice, not even while it is replaced."""
    for each in manifests.workloads:
        if each.role in {"flower", "feed"} and (
            each.spec["replicas"] != 1 or each.spec["strategy"] != {"type": "Recreate"}
        ):
            yield f"{each.name}: two of them"


def standby(manifests: Manifests) -> Iterator[str]:
    """Somebody is ready to take over where one leads, also while one of them is replaced."""
    for each in manifests.workloads:
        if each.role in {"ingest", "deliver"} and (
            each.spec["replicas"] != 2 or each.spec["strategy"]["rollingUpdate"]["maxUnavailable"] != 0
        ):
            yield f"{each.name}: nobody stands by"


def disruption(manifests: Manifests) -> Iterator[str]:
    """A drain of a node can go on, and takes one pod at a time of what is there more than once."""
    budgets = manifests.of("PodDisruptionBudget")
    covered = []
    for each in budgets:
        spec = each["spec"]
        (target,) = manifests.selected(spec["selector"])
        covered.append(target.name)
        allowed = spec.get("maxUnavailable", least(manifests, target) - spec.get("minAvailable", 0))
        if allowed < 1:
            yield f"PodDisruptionBudget {each['metadata']['name']}: holds up every drain"
    for workload in manifests.workloads:
        if workload.role in {"ingest", "worker", "deliver"} and covered.count(workload.name) != 1:
            yield f"{workload.name}: no budget"


def least(manifests: Manifests, workload: Workload) -> int:
    """Return how many pods of a workload there are at least."""
    scaled: Mapping[str, int] = {each.target: each.least for each in _scalers(manifests)}
    count: int = workload.spec.get("replicas", scaled.get(workload.name, 1))
    return count


def _scalers(manifests: Manifests) -> list[Scaler]:
    return [Scaler.read(each) for each in manifests.of("HorizontalPodAutoscaler", "ScaledObject")]
