"""What CI runs beside what every test run does."""

import re

from compose.local.processes import ROOT


def test_ci_runs_the_long_forms_of_queue_http_and_wheel():
    named = re.findall(r"^\./run test -m slow (.+?) \|\|", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    files = " ".join(named).split()
    assert {file.rpartition("/")[2] for file in files} == {"test_queue.py", "test_http.py", "test_wheel.py"}
    for file in files:
        assert "mark.slow" in (ROOT / file).read_text(), file
