"""The notebook of the docs runs, and shows what it gives today."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from compose.local.processes import ROOT
from tests.support import needs

NOTEBOOK = ROOT / "docs" / "notebooks" / "research.ipynb"


def outputs(path: Path) -> list[tuple[str, str, list[str]]]:
    """Return of each output the cell's id, its text, and what else it is; pictures differ from one machine to the next."""
    cells: list[dict[str, Any]] = msgspec.json.decode(path.read_bytes())["cells"]
    return [
        (cell["id"], "".join(data.get("text/plain", ())), sorted(data))
        for cell in cells
        for output in cell.get("outputs", ())
        for data in [output["data"]]
    ]


@pytest.mark.ci
def test_the_notebook_runs_and_its_stored_outputs_are_those_of_today(tmp_path):
    for name in ("nbclient", "ipykernel", "matplotlib", "pandas", "pyarrow"):
        needs.module(name)
    again = tmp_path / "again.ipynb"
    command = [sys.executable, "-m", "tests.run_notebook", str(again)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert outputs(again) == outputs(NOTEBOOK), "python -m tests.run_notebook"
