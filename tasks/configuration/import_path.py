"""Where strategies that do not come with the project are imported from, and what may be imported at all.

Configurations travel through Redis. Who can write there is not to choose among all modules of this machine.
"""

import os
import sys
from contextlib import suppress
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

from tasks.configuration import toml_file
from tasks.errors import SettingsError
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


def refusal(module: str, settings: Settings) -> str:
    """Return why a strategy's module may not be imported; nothing if it may.

    It may where what would be imported lies in one of `folders`, or where this process's own strategies file or STRATEGIES_MODULES names
    it or a package around it.
    """
    package = module.partition(".")[0]
    where = list(dict.fromkeys(map(str, folders(settings))))
    if _lies_in(where, package) or _is_named(module, settings):
        return ""
    return (
        f"{package} is in none of the folders for strategies ({', '.join(where)}), and neither {settings.strategies_file}"
        " nor STRATEGIES_MODULES names it"
    )


def _lies_in(where: list[str], package: str) -> bool:
    """Return whether what is imported by this name lies in `where`: a file there may have the name of a library."""
    within = PathFinder.find_spec(package, where)
    if within is None:
        return False
    try:
        found = find_spec(package) or within
    except ValueError:  # Imported already, from nowhere.
        return False
    places = found.submodule_search_locations or [found.origin if found.has_location and found.origin else ""]
    real = {Path(folder).resolve() for folder in where}
    return all(place and Path(place).parent.resolve() in real for place in places)


def _is_named(module: str, settings: Settings) -> bool:
    named = {each.strip() for each in settings.strategies_modules.split(",")} | _modules_of_file(
        settings.strategies_file
    )
    parts = module.split(".")
    return any(".".join(parts[:length]) in named for length in range(1, len(parts) + 1))


def _modules_of_file(file: Path) -> set[str]:
    """Return the modules that a strategies file names; none where it can't be read, which others say."""
    tables: dict[str, object] = {}
    with suppress(SettingsError):
        tables = toml_file.read(file, "strategies file")
    pools = tables.get("pools")
    found: set[str] = set()
    for pool in pools.values() if isinstance(pools, dict) else ():
        for table in ("strategies", "shadow"):
            names = pool.get(table) if isinstance(pool, dict) else None
            found |= {name.partition(":")[0] for name in names if ":" in name} if isinstance(names, dict) else set()
    return found
