"""How much room datasets may take below RESEARCH_DIR: those that were not used for longest go first."""

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from tasks.settings import Settings
from tasks.sweep.datasets.folder import remove, remove_leftovers


class _Folder(NamedTuple):
    used_ns: int
    path: Path
    size: int


def trim_datasets(settings: Settings, keep: Collection[str] = ()) -> list[str]:
    """Remove datasets until the others take at most RESEARCH_CACHE_MIB, and return the keys of those removed.

    Stay: those with a key in `keep`, and those that a process of this machine holds (`DatasetHold`).
    """
    directory = settings.research_path
    remove_leftovers(directory)
    folders = sorted(_folders(directory))
    excess = sum(folder.size for folder in folders) - settings.research_cache_mib * 2**20
    removed: list[str] = []
    for folder in folders:
        if excess <= 0:
            break
        if folder.path.name not in keep and remove(folder.path):
            excess -= folder.size
            removed.append(folder.path.name)
    return removed


def _folders(directory: Path) -> list[_Folder]:
    """Return the folders of datasets; those that another process removes meanwhile may be missing."""
    found = []
    for path in directory.glob("data/[!.]*"):
        try:
            found.append(_Folder(path.stat().st_mtime_ns, path, sum(file.stat().st_size for file in path.iterdir())))
        except OSError:
            continue
    return found
