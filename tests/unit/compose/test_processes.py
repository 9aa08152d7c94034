"""Where the processes of the demo write."""

import tempfile
from pathlib import Path

from compose.local.processes import ROOT, work_folder


def test_nothing_is_written_beside_the_packages_of_an_installed_wheel(tmp_path: Path):
    assert work_folder(tmp_path) == Path(tempfile.gettempdir())
    (tmp_path / "run").touch()
    assert work_folder(tmp_path) == tmp_path / ".run"
    assert work_folder() == ROOT / ".run"
