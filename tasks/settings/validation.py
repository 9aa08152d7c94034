"""Error messages for invalid values, in our words instead of pydantic's. Pure."""

import math

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "there is no such name",
    "bool": "must be true or false",
    "int": "must be a whole number",
    "float": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "string": "must be text",
    "path": "must be the path of a file",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "literal_error": "must be {expected}",
    "too_short": "must have at least {min_length}",
    "too_long": "must have at most {max_length}",
    **dict.fromkeys(("dict", "model", "mapping"), "must be a table"),
    **dict.fromkeys(("list", "tuple", "set", "frozen_set", "iterable"), "must be a list"),
}
#: What pydantic adds to the name of a type: the value is of another one, or is text that can't be read as one.
_ENDS = ("_type", "_parsing", "_from_float", "_parsing_size", "_attributes_type", "_unicode", "_sub_type")


#: A list is as long as it is in the file: an item that can't be used does not make it too short.
_OF_LENGTH = frozenset({"too_short", "too_long"})


def faults(error: ValidationError) -> list[ErrorDetails]:
    """Return what is wrong, without what only follows from it."""
    found = error.errors()
    inside = {fault["loc"][:depth] for fault in found for depth in range(len(fault["loc"]))}
    return [fault for fault in found if fault["type"] not in _OF_LENGTH or fault["loc"] not in inside]


def say(fault: ErrorDetails) -> str:
    """Return what is wrong, without the value: it may be a secret."""
    kind = fault["type"]
    if kind == "value_error":
        return fault["msg"].removeprefix("Value error, ")
    # It is beyond any bound, but no other number would be told so.
    if isinstance(fault["input"], float) and math.isnan(fault["input"]):
        return _WORDS["finite_number"]
    for end in _ENDS:
        kind = kind.removesuffix(end) if kind not in _WORDS else kind
    words = _WORDS.get(kind)
    return words.format_map(fault.get("ctx", {})) if words else fault["msg"]


def place(fault: ErrorDetails) -> str:
    """Return where it is, such as `pools.depth.kinds.1`; empty for the whole."""
    return ".".join(map(str, fault["loc"]))
