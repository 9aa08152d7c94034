"""What CI runs of others' is fixed by its digest, and what images are built on can be."""

import re
import shutil
from pathlib import Path

import pytest

from compose.local.processes import ROOT
from tests import pin_images

DIGEST, OTHER = f"sha256:{'0a' * 32}", f"sha256:{'1b' * 32}"


def test_each_action_of_a_workflow_is_a_commit_beside_its_release():
    texts = [file.read_text() for file in (ROOT / ".github" / "workflows").iterdir()]
    used = [line.strip() for text in texts for line in text.splitlines() if "uses:" in line]
    assert used
    for line in used:
        assert re.fullmatch(r"- uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_every_image_of_others_is_found():
    found = {image for name in pin_images.FILES for image in pin_images.images((ROOT / name).read_text())}
    assert {image.partition(":")[0] for image in found} == {
        "python", "ghcr.io/astral-sh/uv", "redis", "nats", "prom/prometheus", "grafana/grafana",
        "otel/opentelemetry-collector",
    }  # fmt: skip


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in pin_images.FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, checkout: Path, digest: str, *options: str) -> int:
    monkeypatch.setattr("sys.argv", ["pin_images", *options])
    return pin_images.main(checkout, lambda _: digest)


def test_images_are_pinned_and_pinned_again(monkeypatch: pytest.MonkeyPatch, checkout: Path):
    assert run(monkeypatch, checkout, DIGEST, "--check") == 1
    assert run(monkeypatch, checkout, DIGEST) == 0
    first = {name: (checkout / name).read_text() for name in pin_images.FILES}
    assert {digest for text in first.values() for digest in pin_images.images(text).values()} == {f"@{DIGEST}"}
    assert "ARG PYTHON_IMAGE=python:3.13-slim-bookworm@sha256:" in first["Dockerfile"]
    assert run(monkeypatch, checkout, DIGEST, "--check") == 0
    assert run(monkeypatch, checkout, OTHER, "--check") == 1
    assert run(monkeypatch, checkout, OTHER) == 0
    assert all((checkout / name).read_text() == text.replace(DIGEST, OTHER) for name, text in first.items())


def test_where_a_registry_does_not_answer_nothing_is_written(monkeypatch: pytest.MonkeyPatch, checkout: Path, capsys):
    def silent(image: str) -> str:
        raise RuntimeError(f"{image}: no digest: no such host")

    monkeypatch.setattr("sys.argv", ["pin_images"])
    assert pin_images.main(checkout, silent) == 1
    assert capsys.readouterr().err == "error: python:3.13-slim-bookworm: no digest: no such host\n"
    assert all((checkout / name).read_text() == (ROOT / name).read_text() for name in pin_images.FILES)
