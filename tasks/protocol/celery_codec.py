"""The one content type that our Celery tasks use: msgpack, by msgspec."""

from typing import Any

import msgspec
from kombu.serialization import register

NAME = "msgspec"
CONTENT_TYPE = "application/x-msgspec"
CONTENT_ENCODING = "binary"


def install() -> None:
    """Make the codec known to kombu, under NAME."""
    encode: Any = msgspec.msgpack.encode  # kombu's annotations know text only
    decode: Any = msgspec.msgpack.decode
    register(NAME, encode, decode, content_type=CONTENT_TYPE, content_encoding=CONTENT_ENCODING)
