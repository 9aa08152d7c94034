"""Writes down how kustomize renders the Kubernetes manifests, for tests without kubectl: python -m tests.render_manifests."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from tests.support.deployment.manifests import COMPONENTS, K8S, NAMESPACE, RENDERED, RENDERINGS, Object


def kubectl() -> str | None:
    """Return the program; None: there is none. It is to be 1.30 or newer."""
    return shutil.which("kubectl")


def text() -> str:
    """Return the lines of `RENDERED`, each object once."""
    renderings: dict[str, list[str]] = {}
    for name in RENDERINGS:
        for each in _render(name):
            renderings.setdefault(json.dumps(each, sort_keys=True), []).append(name)
    lines = (f'{{"in": {json.dumps(names)}, "object": {each}}}\n' for each, names in renderings.items())
    # In an order that no release of kustomize changes.
    return "".join(sorted(lines))


def _render(name: str) -> Iterator[Object]:
    if name == "base" or name.startswith("overlays/"):
        yield from _kustomize(K8S / name)
        return
    components = COMPONENTS if name == "all components" else (name,)
    with TemporaryDirectory() as folder:
        # kustomize takes relative paths only, and compares them with the real ones.
        there = Path(folder).resolve()
        lines = [
            f"namespace: {NAMESPACE}",
            f"resources: [{os.path.relpath(K8S / 'base', there)}]",
            "components:",
            *(f"  - {os.path.relpath(K8S / 'components' / each, there)}" for each in components),
        ]
        (there / "kustomization.yaml").write_text("\n".join(lines))
        yield from _kustomize(there)


def _kustomize(folder: Path) -> Iterator[Object]:
    command = [kubectl() or "kubectl", "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    # It says on standard error what it tolerates, such as deprecated fields.
    assert (done.returncode, done.stderr) == (0, "")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where it was built: ten times as fast
    yield from yaml.load_all(done.stdout, loader)


if __name__ == "__main__":
    RENDERED.write_text(text(), encoding="utf-8")
