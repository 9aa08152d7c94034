"""Assignments by words, `orderbook_skew levels=10 gate.min_confidence=0.7`, and differences of configurations. Pure."""

import re
import tomllib
from collections.abc import Iterable
from typing import Any, NamedTuple

from tasks.configuration.model import Configuration
from tasks.configuration.overlay import format_value
from tasks.errors import SettingsError

#: A strategy's name, or the import path of one; a name; a value.
_ASSIGNMENT = re.compile(r"([^.:=]+|[^:=]+:[^.:=]+)\.([^:=]+=.*)", re.DOTALL)


def assignments(words: Iterable[str]) -> dict[str, Any]:
    """Read `name=value` words; a value is TOML (0.7, 5, true, "text"), or text; an empty one means the default (None).

    Raises SettingsError for a word without `=`.
    """
    read: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise SettingsError(f"{word!r} is not NAME=VALUE, such as levels=10")
        read[name] = _value(text)
    return read


def assignment(word: str) -> tuple[str, dict[str, Any]]:
    """Read `STRATEGY.NAME=VALUE`; the strategy may be an import path, `module:Class`. Raises SettingsError."""
    found = _ASSIGNMENT.fullmatch(word)
    if found is None:
        raise SettingsError(f"--set {word}: not STRATEGY.NAME=VALUE, such as orderbook_skew.levels=10")
    return found[1], assignments([found[2]])


def _value(text: str) -> Any:
    if not text:
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


class KeyDifference(NamedTuple):
    """One key for which two configurations differ; None stands for the default."""

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        """Return it on one line: `pools.depth.strategies.orderbook_skew.levels: 5 → 10`."""
        return f"{self.key}: {format_value(self.old)} → {format_value(self.new)}"


def difference(old: Configuration, new: Configuration) -> list[KeyDifference]:
    """Return what differs, sorted by key."""
    before, after = _flat(old.tables()), _flat(new.tables())
    return [
        KeyDifference(key, before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key) and not (_has_more(before, key) or _has_more(after, key))
    ]


def _has_more(flat: dict[str, Any], key: str) -> bool:
    """Whether an empty table of one configuration has something in it in this one."""
    return any(each.startswith(f"{key}.") for each in flat)


def shown(configuration: Configuration) -> list[str]:
    """Return what differs from the defaults, a line each."""
    return [f"{key} = {value}" for key, value in sorted(_flat(configuration.tables()).items())]


def _flat(table: dict[str, Any], path: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{path}{key}.")
        else:
            flat[f"{path}{key}"] = value
    return flat
