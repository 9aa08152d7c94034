"""What schemas don't see in the Kubernetes manifests. Each check gives a line for each fault."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

import yaml
from pydantic import ValidationError

from tasks import configuration
from tasks.deliver.process import STOP_S
from tasks.settings import SECRETS, Settings
from tests.support.deployment.manifests import K8S, Manifests, Object, Workload, render

Check = Callable[[Manifests], Iterator[str]]

SETTINGS = {name.upper() for name in Settings.model_fields} | {f"{name.upper()}_FILE" for name in SECRETS}
#: Read by Go, Flower and OpenSSL.
OTHERS = {"nats": {"GOMEMLIMIT"}, "flower": {"FLOWER_BASIC_AUTH"}}
OURS = {"ingest", "worker", "research", "flower", "feed", "deliver"}
#: Paths that each role answers: of the probe that says whether it lives, and of the one whether it can work.
PROBES = {
    "ingest": ("/healthz", "/ready"),
    "worker": ("/healthz", "/ready"),
    "research": ("/healthz", "/ready"),
    "deliver": ("/healthz", "/ready"),
    "flower": ("/healthcheck", "/healthcheck"),
}
#: Setting that bounds a stop, and the seconds that are needed beyond it.
STOPS = {"ingest": ("INGEST_DRAIN_S", 20), "worker": ("RUN_LIMIT_S", 5), "deliver": ("", STOP_S + 10)}
PORTS = {
    "ingest": "HTTP_PORT",
    "worker": "WORKER_HTTP_PORT",
    "research": "WORKER_HTTP_PORT",
    "deliver": "DELIVER_HTTP_PORT",
}
#: Secrets that the component tls reads, in the form that cert-manager writes them.
CERTIFICATES = {name: {"ca.crt", "tls.crt", "tls.key"} for name in ("ca", "nats-tls", "redis-tls")}
#: Secrets that k8s/README.md has somebody make by hand.
BY_HAND = {"api": {"tokens"}, "deliver": {"webhook_url", "webhook_secret"}}
#: Kinds of volumes that the restricted pod security standard allows and that we use.
VOLUMES = {"configMap", "emptyDir", "secret"}


@lru_cache
def secrets() -> dict[str, set[str]]:
    """Return the keys of every Secret that an installation has."""
    template = yaml.safe_load_all((K8S / "secrets.yaml").read_text())
    return CERTIFICATES | BY_HAND | {each["metadata"]["name"]: set(each["stringData"]) for each in template}


@lru_cache
def pools() -> dict[str, int]:
    """Return the number of lanes of each configured pool."""
    read = configuration.read(K8S / "base" / "strategies.toml")
    return {pool.name: len(pool.lanes) for pool in read.routes()}


def restricted(manifests: Manifests) -> Iterator[str]:
    """Nobody is root, may become it, or can write but to volumes."""
    for each in manifests.workloads:
        security, own = each.pod.get("securityContext", {}), each.container.get("securityContext", {})
        promises = {
            "runAsNonRoot": security.get("runAsNonRoot") is True and security.get("runAsUser", 0) > 0,
            "seccomp": security.get("seccompProfile") == {"type": "RuntimeDefault"},
            "escalation": own.get("allowPrivilegeEscalation") is False and not own.get("privileged"),
            "capabilities": own.get("capabilities") == {"drop": ["ALL"]},
            "read-only": own.get("readOnlyRootFilesystem") is True,
            "host": not each.pod.keys() & {"hostNetwork", "hostPID", "hostIPC"},
            "volumes": all(volume.keys() - {"name"} <= VOLUMES for volume in each.pod.get("volumes", ())),
        }
        yield from (f"{each.name}: {promise}" for promise, held in promises.items() if not held)


def accounts(manifests: Manifests) -> Iterator[str]:
    """Each workload has an account of its own kind, and no token; no variables appear from Services."""
    known = {each["metadata"]["name"]: each for each in manifests.of("ServiceAccount")}
    for name, account in known.items():
        if account.get("automountServiceAccountToken") is not False:
            yield f"{name}: the account's token is mounted"
    for each in manifests.workloads:
        if each.pod.get("serviceAccountName") not in known:
            yield f"{each.name}: no account"
        if each.pod.get("automountServiceAccountToken") is not False:
            yield f"{each.name}: token"
        if each.pod.get("enableServiceLinks") is not False:
            yield f"{each.name}: service links"


def images(manifests: Manifests) -> Iterator[str]:
    """Each image has a tag."""
    for each in manifests.workloads:
        if not re.search(r":(?!latest$)[\w.-]+(@sha256:[0-9a-f]{64})?$", each.container["image"]):
            yield f"{each.name}: the image {each.container['image']} is not pinned"


def resources(manifests: Manifests) -> Iterator[str]:
    """CPU and memory are asked for and memory is bounded; what /tmp may take is bounded too."""
    for each in manifests.workloads:
        wanted = each.container.get("resources", {})
        if wanted.get("requests", {}).keys() != {"cpu", "memory"} or wanted.get("limits", {}).keys() != {"memory"}:
            yield f"{each.name}: resources"
        for volume in each.pod.get("volumes", ()):
            if "emptyDir" in volume and volume["emptyDir"].keys() != {"medium", "sizeLimit"}:
                yield f"{each.name}: unbounded {volume['name']}"
        if each.role in OURS and "/tmp" not in _mounts(each):  # noqa: S108 the container's
            yield f"{each.name}: nowhere to write"


def environment(manifests: Manifests) -> Iterator[str]:
    """Each variable is known to who reads it, and has a value that it takes."""
    for each in manifests.workloads:
        variables = manifests.environment(each)
        known = (SETTINGS | {"SSL_CERT_FILE"} if each.role in OURS else set()) | OTHERS.get(each.role, set())
        for name in variables.keys() - known:
            if not name.startswith("OTEL_"):
                yield f"{each.name}: nobody reads {name}"
        ours = {name.lower(): value for name, value in variables.items() if name in SETTINGS and name[-5:] != "_FILE"}
        try:
            Settings.model_validate({name: Settings.model_fields[name].default for name in SECRETS} | ours)
        except ValidationError as error:
            yield f"{each.name}: {error}"
        files = {name: value for name, value in variables.items() if name.endswith("_FILE")}
        yield from (f"{each.name}: {name} is not mounted" for name, path in files.items() if path not in _files(each))


def research(manifests: Manifests) -> Iterator[str]:
    """Workers of sweeps take nothing else, and what they fetch finds room where they may write."""
    for each in manifests.workloads:
        if each.role != "research":
            continue
        variables = manifests.environment(each)
        sizes = {
            mount["mountPath"]: _volumes(each)[mount["name"]].get("emptyDir", {}).get("sizeLimit", "0Gi")
            for mount in each.container["volumeMounts"]
        }
        room_mib = int(sizes.get(variables["RESEARCH_DIR"], "0Gi").removesuffix("Gi")) * 1024
        if room_mib < 1.5 * int(variables["RESEARCH_CACHE_MIB"]):
            yield f"{each.name}: no room for {variables['RESEARCH_CACHE_MIB']} MiB and a recording"
        if "--queues=research" not in each.command or "--concurrency=1" not in each.command:
            yield f"{each.name}: {' '.join(each.command)}"


def mounts(manifests: Manifests) -> Iterator[str]:
    """What is mounted or read is there, down to the keys."""
    maps = {each["metadata"]["name"]: set(each["data"]) for each in manifests.of("ConfigMap")}
    for each in manifests.workloads:
        claims = {claim["metadata"]["name"] for claim in each.spec.get("volumeClaimTemplates", ())}
        if {mount["name"] for mount in each.container["volumeMounts"]} != _volumes(each).keys() | claims:
            yield f"{each.name}: volumes and mounts differ"
        for volume in _volumes(each).values():
            if "configMap" in volume and volume["configMap"]["name"] not in maps:
                yield f"{each.name}: no ConfigMap {volume['configMap']['name']}"
            if "secret" in volume:
                held = secrets().get(volume["secret"]["secretName"], set())
                yield from (
                    f"{each.name}: no {item['key']} in a Secret"
                    for item in volume["secret"]["items"]
                    if item["key"] not in held
                )
        for variable in each.container.get("env", ()):
            source = variable.get("valueFrom", {}).get("secretKeyRef")
            if source and source["key"] not in secrets().get(source["name"], set()):
                yield f"{each.name}: no {source['key']} in a Secret"


def selectors(manifests: Manifests) -> Iterator[str]:
    """Each selector selects the pods of exactly the one workload that is meant."""
    for each in manifests.workloads:
        spreads = each.pod.get("topologySpreadConstraints", ())
        for selector in (each.spec["selector"], *(spread["labelSelector"] for spread in spreads)):
            if [found.name for found in manifests.selected(selector)] != [each.name]:
                yield f"{each.name}: its selector"
    for each_object in manifests.of("Service"):
        if len(manifests.selected({"matchLabels": each_object["spec"]["selector"]})) != 1:
            yield f"Service {each_object['metadata']['name']}: its selector"
    for each_object in manifests.of("PodDisruptionBudget", "NetworkPolicy", "PodMonitor"):
        spec = each_object["spec"]
        selector = spec["selector"] if "selector" in spec else spec["podSelector"]
        # Of a component that the rendering has not, too: then it selects nobody.
        if not manifests.selected(selector) and not render("all components").selected(selector):
            yield f"{each_object['kind']} {each_object['metadata']['name']}: its selector"


def ports(manifests: Manifests) -> Iterator[str]:
    """Services, probes and monitors name ports that exist, and the process listens there."""
    for service in manifests.of("Service"):
        for workload in manifests.selected({"matchLabels": service["spec"]["selector"]}):
            for port in service["spec"]["ports"]:
                if workload.ports.get(port["targetPort"]) != port["port"]:
                    yield f"Service {service['metadata']['name']}: {workload.name} has no port {port['targetPort']}"
    for monitor in manifests.of("PodMonitor"):
        for workload in manifests.selected(monitor["spec"]["selector"]):
            wanted = {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]}
            yield from (f"PodMonitor: {workload.name} has no port {name}" for name in wanted - workload.ports.keys())
    for each in manifests.workloads:
        if each.role in PORTS and manifests.environment(each).get(PORTS[each.role]) != str(each.ports["http"]):
            yield f"{each.name}: {PORTS[each.role]} is not its port"
        if each.role == "flower" and f"--port={each.ports['http']}" not in each.command:
            yield f"{each.name}: --port is not its port"


def probes(manifests: Manifests) -> Iterator[str]:
    """Each has its three probes, at a path that answers; whether it lives is never a matter of others."""
    for each in manifests.workloads:
        if each.role == "feed":
            continue
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            probe = each.container.get(kind, {})
            how = probe.get("httpGet", probe.get("tcpSocket", {"port": next(iter(each.ports))}))
            if not probe or how["port"] not in each.ports:
                yield f"{each.name}: {kind}"
            if each.role in PROBES and how.get("path") != PROBES[each.role][kind == "readinessProbe"]:
                yield f"{each.name}: {kind} asks {how.get('path')}"


def grace(manifests: Manifests) -> Iterator[str]:
    """A stop gets the time that its settings allow it."""
    for each in manifests.workloads:
        name, more_s = STOPS.get(each.role, ("", 5))
        needed_s = float(manifests.environment(each).get(name, 0)) + more_s
        if each.pod.get("terminationGracePeriodSeconds", 30) < needed_s:
            yield f"{each.name}: needs {needed_s:g} s to stop"


def namespaces(manifests: Manifests) -> Iterator[str]:
    """All that can be is in the one namespace, which lets no unrestricted pod in."""
    (namespace,) = manifests.of("Namespace")
    name = namespace["metadata"]["name"]
    if namespace["metadata"]["labels"].get("pod-security.kubernetes.io/enforce") != "restricted":
        yield "Namespace: not restricted"
    for each in manifests:
        if each["kind"] not in {"Namespace", "PriorityClass"} and each["metadata"].get("namespace") != name:
            yield f"{each['kind']} {each['metadata']['name']}: not in {name}"


def _volumes(workload: Workload) -> dict[str, Object]:
    return {volume["name"]: volume for volume in workload.pod.get("volumes", ())}


def _mounts(workload: Workload) -> set[str]:
    return {mount["mountPath"] for mount in workload.container["volumeMounts"]}


def _files(workload: Workload) -> set[str]:
    """Return the paths of the files that are mounted from Secrets and ConfigMaps."""
    found: set[str] = set()
    for mount in workload.container["volumeMounts"]:
        volume: dict[str, Any] = _volumes(workload).get(mount["name"], {})
        paths = [item["path"] for item in volume.get("secret", {}).get("items", ())]
        if volume.get("configMap", {}).get("name", "").startswith("strategies"):
            paths.append("strategies.toml")
        found |= {str(PurePosixPath(mount["mountPath"]) / path) for path in paths}
    return found
