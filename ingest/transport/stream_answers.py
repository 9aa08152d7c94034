"""What JetStream answers to a message that was published with a reply subject. Pure."""

from typing import NamedTuple

import msgspec

from tasks.errors import UNREADABLE

#: Of the code of an error: it comes again however often one tries, because the message is too large or the stream sealed.
_PERMANENT = frozenset({400})
#: The number of the error that says that the message is larger than the stream takes.
TOO_LARGE = 10054


class Acknowledged(NamedTuple):
    """The stream has it, under this number."""

    seq: int


class Refused(NamedTuple):
    """No stream has it."""

    why: str
    #: JetStream's number of the error; 0: there is no stream.
    number: int = 0
    is_permanent: bool = False


class _Error(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Answer(msgspec.Struct):
    seq: int = 0
    error: _Error | None = None


_decode = msgspec.json.Decoder(_Answer).decode


def read(data: bytes, headers: bytes | None) -> Acknowledged | Refused | None:
    """Return what an answer says, given its bytes and its raw headers; None: it is none of JetStream's."""
    if not data:
        return Refused("no stream takes it" if headers and b" 503" in headers else "an empty answer")
    try:
        answer = _decode(data)
    except UNREADABLE:
        return None
    if error := answer.error:
        return Refused(error.description, error.err_code, error.code in _PERMANENT)
    return Acknowledged(answer.seq)
