"""The byte-level fuzzer for a moment, always with the same bytes; `python -m tests.fuzz` is its long form."""

import platform
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from compose.local.processes import ROOT
from tests.fuzz import targets
from tests.support.needs import missing


@pytest.fixture(autouse=True)
def _fuzzer() -> None:
    if find_spec("atheris"):
        return
    if (sys.platform, platform.machine()) != ("linux", "x86_64") or sys.version_info >= (3, 14):
        pytest.skip("atheris is there for Linux on x86-64 and Python 3.11 to 3.13 only")
    missing("atheris is not installed")


def fuzz(folder: Path, names: list[str], *, seconds: int = 1, runs: int = -1) -> tuple[int, str]:
    """Run the command; return its status and what it prints."""
    options = ["--seconds", str(seconds), "--runs", str(runs), "--seed", "1", "--folder", str(folder)]
    command = [sys.executable, "-m", "tests.fuzz", *options, *names]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=150)
    return ran.returncode, ran.stdout or ran.stderr


@pytest.mark.ci
@pytest.mark.parametrize("module", targets.MODULES)
def test_bytes_that_nobody_meant_to_send_are_refused_whoever_reads_them(tmp_path: Path, module: str):
    names = [name for name in targets.names() if targets.TARGETS[name].run.__module__ == module]
    status, said = fuzz(tmp_path, names, runs=1_000)
    assert status == 0, said
    assert said.count("nothing found") == len(names)


def test_a_fault_reached_only_byte_by_byte_is_found_and_its_input_kept(tmp_path: Path):
    status, said = fuzz(tmp_path, ["tests.fuzz.planted:raises"], seconds=60)
    assert status == 1
    assert "LookupError: found" in said
    [kept] = tmp_path.glob("found-*-crash-*")
    assert kept.read_bytes().startswith(b"depth")


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "kept"), [("hangs", "timeout"), ("grows", "oom")])
def test_a_call_that_hangs_or_keeps_memory_is_found(tmp_path: Path, fault: str, kept: str):
    status, _ = fuzz(tmp_path, [f"tests.fuzz.planted:{fault}"], seconds=60)
    assert status == 1
    assert list(tmp_path.glob(f"found-*-{kept}-*"))


def test_an_unknown_target_is_refused_with_the_one_that_was_meant():
    with pytest.raises(ValueError, match="no target 'frame'; did you mean frames"):
        targets.find("frame")
