"""Where strategies are imported from, and in which order."""

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
