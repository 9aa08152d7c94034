"""The bound of prepared recordings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from compose.local.processes import ROOT
from tasks.errors import DatasetError
from tasks.settings import Settings
from tasks.sweep.datasets.cache import trim_datasets
from tasks.sweep.datasets.dataset import Dataset
from tasks.sweep.datasets.folder import DatasetHold, dataset_path
from tasks.sweep.datasets.reader import EventStream
from tasks.sweep.datasets.writer import prepare
from tests.support.events import trade
from tests.support.files.datasets import recorded, sources

#: Holds a dataset until it is killed.
HOLDS = """
import sys, time
from pathlib import Path
from tasks.sweep.datasets.folder import DatasetHold

hold = DatasetHold(Path(sys.argv[1]), sys.argv[2])
print("held", flush=True)
time.sleep(3600)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(research_dir=str(tmp_path), research_cache_mib=3)


def made(directory: Path, name: str, used_s: int) -> Dataset:
    """Make a dataset of somewhat more than a MiB that was used at a time."""
    dataset = prepare(recorded(directory / name, [trade()]), directory=directory)
    folder = dataset_path(directory, dataset.key)
    (folder / "more").write_bytes(bytes(2**20))
    os.utime(folder, (used_s, used_s))
    return dataset


def test_the_least_recently_used_are_removed(settings, tmp_path):
    old, older, oldest, newest = (made(tmp_path, f"{used_s}.jsonl", used_s) for used_s in (3, 2, 1, 4))
    assert trim_datasets(settings) == [oldest.key, older.key]
    assert {path.name for path in (tmp_path / "data").iterdir()} == {old.key, newest.key}
    assert trim_datasets(settings) == []


@pytest.mark.parametrize("use", ["read", "prepared"])
def test_a_dataset_that_is_read_or_prepared_again_counts_as_used_now(settings, tmp_path, use):
    first, second, _ = (made(tmp_path, f"{used_s}.jsonl", used_s) for used_s in (1, 2, 3))
    if use == "read":
        EventStream(tmp_path, sources(first)).close()
    else:
        prepare(tmp_path / "1.jsonl", directory=tmp_path)
    assert trim_datasets(settings) == [second.key]


def test_what_is_kept_or_in_use_stays_however_large(settings, tmp_path):
    kept, used, *others = (made(tmp_path, f"{used_s}.jsonl", used_s) for used_s in range(1, 6))
    bound = settings.model_copy(update={"research_cache_mib": 1})
    with DatasetHold(tmp_path, used.key):
        assert trim_datasets(bound, keep=[kept.key]) == [each.key for each in others]
        assert trim_datasets(bound, keep=[kept.key]) == []
    assert trim_datasets(bound, keep=[kept.key]) == [used.key]


def test_what_another_process_uses_stays_until_it_is_killed(settings, tmp_path):
    dataset = made(tmp_path, "trades.jsonl", 1)
    made(tmp_path, "later.jsonl", 2)
    bound = settings.model_copy(update={"research_cache_mib": 2})
    arguments = [sys.executable, "-c", HOLDS, str(tmp_path), dataset.key]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout
        try:
            assert process.stdout.readline() == b"held\n"
            assert dataset.key not in trim_datasets(bound)
        finally:
            process.kill()
    made(tmp_path, "last.jsonl", 3)
    # It was used last, so nothing stays.
    assert trim_datasets(settings.model_copy(update={"research_cache_mib": 1}))[-1] == dataset.key
    with pytest.raises(DatasetError):
        DatasetHold(tmp_path, dataset.key)


def test_datasets_are_in_the_users_cache_unless_a_folder_is_named(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert Settings().research_path == Path("/home/somebody/.cache/realtime-strategies/research")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert Settings().research_path == Path("/cache/realtime-strategies/research")
    assert Settings(research_dir="here").research_path == Path("here")
