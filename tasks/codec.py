"""The one content type that our Celery tasks use: msgpack, by msgspec."""

import msgspec
from kombu.serialization import register

NAME = "msgspec"
CONTENT_TYPE = "application/x-msgspec"


def install() -> None:
    """Make the codec known to kombu, under NAME."""
    register(NAME, msgspec.msgpack.encode, msgspec.msgpack.decode, content_type=CONTENT_TYPE, content_encoding="binary")
