"""The one content type that our Celery tasks use: msgpack, by msgspec. `celeryconfig` registers it with kombu."""

from typing import Any

import msgspec

NAME = "msgspec"
CONTENT_TYPE = "application/x-msgspec"
CONTENT_ENCODING = "binary"

# kombu's annotations know text only.
encode: Any = msgspec.msgpack.encode
decode: Any = msgspec.msgpack.decode
