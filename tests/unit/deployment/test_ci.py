"""What CI runs beside what every test run does."""

import re

from compose.local.processes import ROOT


def test_ci_fuzzes_queue_and_http_in_the_long_form():
    [named] = re.findall(r"^\./run test -m slow (.+?) \|\|", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    files = named.split()
    assert {file.rpartition("/")[2] for file in files} == {"test_queue.py", "test_http.py"}
    for file in files:
        assert "mark.slow" in (ROOT / file).read_text(), file
