"""Where the source of a module is, compiled or not."""

from pathlib import Path

import pytest

from tasks import source_code


@pytest.mark.parametrize("name", ["iceberg.py", "iceberg.cpython-313-x86_64-linux-gnu.so", "iceberg.abi3.so"])
def test_the_source_stands_beside_what_was_loaded(name: str):
    assert source_code.source_of(Path("/opt/tasks/strategies") / name) == Path("/opt/tasks/strategies/iceberg.py")


def test_the_text_of_an_imported_module_is_its_files():
    assert source_code.text(source_code.__name__) == Path(source_code.__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["sys", "never_imported"])
def test_a_module_without_a_file_has_no_source(name: str):
    with pytest.raises(OSError, match=f"{name} has no file"):
        source_code.path(name)
