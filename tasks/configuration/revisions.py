"""Revisions of strategies: by which code and which parameters a strategy runs. It reads the code's files."""

import inspect
from functools import cache
from hashlib import sha256
from pathlib import Path

from tasks.protocol.digest import canonical
from tasks.strategy import AnyStrategy

#: So many hexadecimal digits of each hash.
DIGITS = 12


def revision(strategy: AnyStrategy) -> str:
    """Return `srev_CODE_PARAMETERS`; nothing where the code can't be read, or a parameter is nothing that JSON has.

    CODE is a hash of the file of the strategy's class, PARAMETERS one of its parameters with their defaults, as JSON.
    Neither is said of what that file imports, the engine, or Python.
    """
    try:
        code = _code(inspect.getsourcefile(type(strategy)) or "")
        parameters = canonical(strategy.params.model_dump(mode="json"))
    except (OSError, TypeError, ValueError):
        return ""
    return f"srev_{code}_{_digits(parameters)}"


@cache
def _code(file: str) -> str:
    """Return the hash of a file as it was when it was first asked for: it may change under a process. Raises OSError."""
    return _digits(Path(file).read_bytes())


def _digits(content: bytes) -> str:
    return sha256(content).hexdigest()[:DIGITS]
