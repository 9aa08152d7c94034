"""Files that others read, against the schemas that these others publish."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from compose.local.processes import ROOT

WORKFLOWS = sorted(str(file.relative_to(ROOT)) for file in (ROOT / ".github" / "workflows").iterdir())
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())


def check(schema: str, *files: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *files]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", WORKFLOWS),
        ("vendor.dependabot", [".github/dependabot.yml"]),
        ("vendor.compose-spec", ["compose.yaml", "compose/stack.yaml"]),
    ],
)
def test_a_file_is_valid_after_the_schema_of_who_reads_it(schema: str, files: list[str]):
    done = check(schema, *files)
    assert done.returncode == 0, done.stdout


def hadolint(file: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("hadolint")), str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_linter_of_dockerfiles_finds_nothing():
    done = hadolint(ROOT / "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")


def test_the_linter_of_dockerfiles_finds_a_base_without_a_tag(tmp_path: Path):
    file = tmp_path / "Dockerfile"
    file.write_text("FROM python\n")
    assert hadolint(file).returncode == 1


def test_a_broken_workflow_would_be_found(tmp_path):
    broken = WORKFLOW | {"jobs": {"test": {"runs-on": "ubuntu-latest", "steps": "none"}}}
    file = tmp_path / "broken.yml"
    # YAML reads the key `on` as true.
    file.write_text(yaml.safe_dump({("on" if key is True else key): value for key, value in broken.items()}))
    assert check("vendor.github-workflows", str(file)).returncode == 1


def test_ci_tests_each_supported_python_and_builds_both_platforms():
    jobs = WORKFLOW["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    (build,) = (step["with"] for step in jobs["image"]["steps"] if "build-push" in step.get("uses", ""))
    assert build["platforms"] == "linux/amd64,linux/arm64"
    assert (build["sbom"], build["provenance"], build["target"]) == (True, "mode=max", "production")
