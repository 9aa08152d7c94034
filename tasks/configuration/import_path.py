"""The folder from which strategies that do not come with the project are imported."""

import os
import sys
from pathlib import Path

from tasks.settings import Settings


def folders(settings: Settings) -> list[Path]:
    """Return the strategies file's folder, then STRATEGIES_PATH, or without it the current folder; absolute."""
    more = [Path(each) for each in settings.strategies_path.split(os.pathsep) if each]
    return [folder.absolute() for folder in (settings.strategies_file.parent, *(more or [Path.cwd()]))]


def extend(settings: Settings) -> None:
    """Let strategies be imported from these folders.

    They come last: a file of theirs never takes the place of a module of ours, of a library's or of Python's.
    """
    sys.path.extend(path for path in map(str, folders(settings)) if path not in sys.path)
