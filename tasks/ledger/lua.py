"""The ledger's Lua scripts: their texts, and how their arguments are packed."""

from functools import cache
from pathlib import Path

import msgspec

_SCRIPTS = Path(__file__).with_name("scripts")


#: Packs what a script takes with `cmsgpack.unpack`.
pack = msgspec.msgpack.Encoder().encode


@cache
def script(name: str) -> str:
    """Return the text of one of the ledger's Lua scripts, behind what those share that write more than once."""
    before, text = ((_SCRIPTS / f"{each}.lua").read_text(encoding="utf-8") for each in ("before_writing", name))
    # What begins with flags of its own writes once.
    return text if text.startswith("#!") else before + text


def string(value: bytes) -> msgspec.Raw:
    """Return bytes packed as msgpack's strings are: Redis's scripts know no other kind."""
    return msgspec.Raw(b"\xdb" + len(value).to_bytes(4, "big") + value)
