import os
import re
import subprocess
import sys

import pytest

from compose.local.processes import ROOT
from tests.support import needs


@pytest.mark.parametrize(("in_ci", "outcome"), [(False, pytest.skip.Exception), (True, pytest.fail.Exception)])
def test_a_part_that_is_missing_skips_on_a_laptop_and_fails_in_ci(in_ci, outcome):
    with pytest.raises(outcome, match="no such part"):
        needs.missing("no such part", in_ci=in_ci)


def test_the_readme_names_every_program_without_which_tests_are_skipped():
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    [skips] = re.findall(r"are skipped without it: (.*?)\. ", readme)
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")]
    programs = {name for source in sources for name in re.findall(r'shutil\.which\("([\w-]+)"\)', source)}
    assert programs > {"kubectl", "prometheus", "promtool", "redis-server"}
    known = {"docker": "Docker", "chromium": "Chromium", "google-chrome": "Chromium"}
    # Without git tests fail instead.
    assert [name for name in sorted(programs - {"git"}) if known.get(name, name) not in skips] == []


def test_the_benchmark_needs_no_package_that_only_tests_have():
    """`./run bench` installs requirements/bench.txt and no more."""
    missing = ["greenlet", "hypothesis", "lupa", "playwright", "pytest", "trustme", "yaml"]
    code = f"import sys; sys.modules.update(dict.fromkeys({missing})); import tests.bench.commands, tests.bench.metered"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
