"""Packages that only some commands need: what says how they are installed."""

from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from tasks.errors import SettingsError

Extra = Literal["demo", "extras"]


def install_command(extra: Extra, root: Path = Path(__file__).parents[1]) -> str:
    """Return what installs an extra: in a checkout from its locked requirements, else that of the installed wheel."""
    locked = Path("requirements", f"{extra}.txt")
    if (root / locked).is_file():
        return f"pip install --require-hashes -r {locked}"
    return f"pip install 'realtime-strategies[{extra}]'"


def optional_module(name: str, extra: Extra, *, wanted_by: str = "this") -> Any:
    """Import a module of an extra. Raises SettingsError: it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise SettingsError(f"{wanted_by} needs {package}: {install_command(extra)}") from None
