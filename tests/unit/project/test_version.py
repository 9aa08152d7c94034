"""The version is written in four places, which say the same."""

import re

import pytest

from compose.local.processes import ROOT

PLACES = {
    "tasks/version.py": r'"APP_VERSION"\) or "(\S+)"',
    "Dockerfile": r"^ARG VERSION=(\S+)$",
    "k8s/overlays/production/kustomization.yaml": r"newTag: (\S+)$",
    "CHANGELOG.md": r"^## (\d\S*) - \d{4}-\d\d-\d\d$",
}


def first(name: str) -> str:
    """Return the version that a file names first."""
    found = re.search(PLACES[name], (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert found, name
    return found[1]


@pytest.mark.parametrize("name", PLACES)
def test_every_place_names_the_version_of_the_code(name: str):
    assert first(name) == first("tasks/version.py")
