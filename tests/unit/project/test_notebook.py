"""The notebook reads on GitHub: its outputs are kept, and nothing in it is of the machine that it was run on."""

import re
from pathlib import Path

import msgspec

from compose.local.processes import ROOT

NOTEBOOK = ROOT / "docs" / "notebooks" / "research.ipynb"


def test_the_stored_notebook_holds_its_outputs_and_plots():
    cells = [cell for cell in msgspec.json.decode(NOTEBOOK.read_bytes())["cells"] if cell["cell_type"] == "code"]
    assert [cell["id"] for cell in cells if not cell["outputs"]] == ["setup"]
    found = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in found} == {"execute_result", "display_data"}
    assert sum("image/png" in output["data"] for output in found) >= 3


def test_the_stored_notebook_names_no_folder_of_a_machine():
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert [folder for folder in (str(ROOT), str(Path.home())) if folder in text] == []
    assert re.findall(r"/(?:home|Users|root|tmp|opt|usr)/[\w.-]*", text) == []
