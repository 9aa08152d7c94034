"""A TOML file that a person wrote: its tables, or one line that says what keeps it from being read."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

from tasks.errors import SettingsError

#: The name of a table as tomllib gives it, a tuple of keys; and a key that needs no quotes.
_KEYS = re.compile(r"""\((?=['"]).*['"],?\)""")
_BARE = re.compile(r"[\w-]+", re.ASCII)


def read(path: Path, what: str) -> dict[str, Any]:
    """Return the tables of a file; `what` names it where it can't be opened ("strategies file"). Raises SettingsError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"can't read the {what} {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not TOML: it is not text in UTF-8") from None
    except ValueError as error:
        raise SettingsError(f"{path} is not TOML: {_where_first(str(error))}") from None
    except RecursionError:
        raise SettingsError(f"{path} is nested too deeply") from None


def _where_first(said: str) -> str:
    """Return tomllib's error with the place before it: `line 3, column 5: expected ']' at the end of ...`."""
    said = _KEYS.sub(lambda keys: ".".join(map(_toml_key, ast.literal_eval(keys[0]))), said)
    what, _, where = said.removesuffix(")").rpartition(" (at ")
    return f"{where}: {what[0].lower()}{what[1:]}" if what else said


def _toml_key(key: str) -> str:
    return key if _BARE.fullmatch(key) else f'"{key}"'
