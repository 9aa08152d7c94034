"""Programs of ours in a terminal that knows ASCII only."""

import os
import subprocess
import sys

import pytest

from compose.local.processes import ROOT


@pytest.mark.parametrize(
    "program",
    [
        "tasks strategies describe spread_liquidity",
        "ingest --help",
        "compose.local demo --help",
        "tests.bench bench --help",
        "celery -A tasks report",
    ],
)
def test_a_program_ends_well_where_the_terminal_is_not_utf_8(program):
    narrow = {"PYTHONIOENCODING": "ascii:strict", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-m", *program.split()], env=os.environ | narrow, capture_output=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout
