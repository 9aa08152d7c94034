"""Where strategies are imported from, and in which order."""

import importlib
import os
import sys
from pathlib import Path

import pytest

from tasks.configuration import import_path
from tasks.settings import Settings


def test_the_strategies_files_folder_comes_before_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(strategies_file=Path("mine/strategies.toml"))
    assert import_path.folders(settings) == [tmp_path / "mine", tmp_path]


def test_named_folders_stand_for_the_current_one(tmp_path: Path):
    settings = Settings(strategies_file=tmp_path / "s.toml", strategies_path=os.pathsep.join(("/a", "/b")))
    assert import_path.folders(settings) == [tmp_path, Path("/a"), Path("/b")]


def test_they_come_after_everything_else_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", before := ["/ours", "/pythons"])
    settings = Settings(strategies_file=tmp_path / "s.toml", strategies_path="/pythons")
    for _ in range(2):
        import_path.extend(settings)
    assert before == ["/ours", "/pythons", str(tmp_path)]


FILE = """
[pools.trade]
kinds = ["trade"]
[pools.trade.strategies.trade_momentum]
[pools.trade.strategies."acme.momentum:Fast"]
[pools.trade.shadow."acme_lab:Slow"]
of = "trade_momentum"
"""


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("mine", True),
        ("package.mine", True),
        ("acme.momentum", True),
        ("acme_lab", True),
        ("desk", True),
        ("desk.deep.down", True),
        ("acme.other", False),
        ("desktop", False),
        ("os", False),
        ("subprocess", False),
        ("", False),
    ],
)
def test_only_folders_the_strategies_file_and_a_setting_give_modules(
    module: str, *, allowed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").touch()
    (tmp_path / "package").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "s.toml").write_text(FILE)
    settings = Settings(strategies_file=Path("elsewhere/s.toml"), strategies_modules="desk, other.one")
    assert (import_path.refusal(module, settings) == "") is allowed


@pytest.mark.parametrize("content", [None, "no toml", "pools = 3", "[pools]\nx = 3", "[pools.x]\nstrategies = [1]"])
def test_a_file_that_is_none_allows_nothing(content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "s.toml").write_text(content)
    refused = import_path.refusal("os", Settings(strategies_file=tmp_path / "s.toml"))
    assert refused == (
        f"os is in none of the folders for strategies ({tmp_path}), and neither {tmp_path}/s.toml nor"
        " STRATEGIES_MODULES names it"
    )


@pytest.mark.parametrize("module", ["celery", "celery.bin.worker", "http.server", "sys", "os"])
def test_a_folders_file_allows_no_module_of_its_name_elsewhere(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The folder comes last, so the other one would be imported: tasks/celery.py must not stand for Celery."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / f"{module.partition('.')[0]}.py").touch()
    settings = Settings(strategies_file=tmp_path / "s.toml", strategies_path=str(tmp_path))
    import_path.extend(settings)
    assert import_path.refusal(module, settings) == (
        f"{module.partition('.')[0]} is in none of the folders for strategies ({tmp_path}), and neither "
        f"{settings.strategies_file} nor STRATEGIES_MODULES names it"
    )


def test_a_module_of_a_folder_is_allowed_once_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "own_single.py").touch()
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_package" / "inner.py").touch()
    settings = Settings(strategies_file=tmp_path / "s.toml", strategies_path=str(tmp_path))
    import_path.extend(settings)
    for module in ("own_single", "own_package.inner"):
        assert import_path.refusal(module, settings) == ""
        monkeypatch.delitem(sys.modules, module.partition(".")[0], raising=False)
        importlib.import_module(module)
        assert import_path.refusal(module, settings) == ""
