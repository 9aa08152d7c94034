"""The source of a module. That of one that is compiled stands beside it."""

import sys
import tokenize
from pathlib import Path


def path(module: str) -> Path:
    """Return the file of the source of a module that was imported. Raises OSError: it came from no file."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if not file:
        raise OSError(f"{module} has no file")
    return source_of(Path(file))


def text(module: str) -> str:
    """Return the source of a module that was imported. Raises OSError and SyntaxError: it can't be read."""
    with tokenize.open(path(module)) as file:
        return file.read()


def source_of(file: Path) -> Path:
    """Return the file of the source for the file that a module was loaded from: `x.py` for `x.cpython-313-….so`."""
    return file.with_name(f"{file.name.partition('.')[0]}.py")
