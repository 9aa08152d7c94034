"""Frames: the bytes of one NATS message, read into an event and written again.

Pure. Everything above may use it; it knows nothing but `tasks.events` and `tasks.errors`.
"""

from tasks.frames.parser import parse

__all__ = [
    "encoder",
    "fast_parser",
    "model",
    "neutral",
    "optional_kinds",
    "parse",
    "parser",
    "plausibility",
    "subjects",
    "symbols",
    "timestamps",
]
