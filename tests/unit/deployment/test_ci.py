"""What CI runs beside what every test run does."""

import re

import yaml

from compose.local.processes import ROOT


def test_ci_runs_what_is_marked_for_it():
    said = (ROOT / ".ci" / "run").read_text()
    assert '\n./run test -m "ci and not slow and not faults" ' in said
    assert '\n./run test "$@" ' in said
    assert "\n./run sim --minutes 1 " in said


def test_ci_runs_the_long_forms_of_queue_http_and_wheel():
    named = re.findall(r"^\./run test -m slow (.+?) \|\|", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    files = " ".join(named).split()
    assert {file.rpartition("/")[2] for file in files} == {"test_queue.py", "test_http.py", "test_wheel.py"}
    for file in files:
        assert "mark.slow" in (ROOT / file).read_text(), file


def test_a_release_is_made_of_its_own_version_and_signed():
    release = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    wheel, image = release["jobs"]["wheel"], release["jobs"]["image"]
    said = " ".join(step.get("run", "") for step in wheel["steps"])
    assert 'test "$GITHUB_REF_NAME" = "v$(python -c \'from tasks.version import VERSION' in said
    assert "bash .ci/run" in said
    assert image["needs"] == "wheel"
    assert any("cosign sign" in step.get("run", "") for step in image["steps"])


def test_no_job_of_a_release_that_may_write_runs_what_tests_install():
    release = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    assert release["permissions"] == {}
    for name, job in release["jobs"].items():
        may_write = "write" in job["permissions"].values()
        runs_ours = any("./run" in step.get("run", "") or ".ci/run" in step.get("run", "") for step in job["steps"])
        assert not (may_write and runs_ours), name
