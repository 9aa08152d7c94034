"""A frame through each of the two readers."""

from unittest.mock import patch

from tasks import frames
from tasks.frames import fast_parser
from tasks.frames.model import FrameMetadata, RefusedError
from tests.support.frames.wire import METADATA


def quickly(raw: bytes, metadata: FrameMetadata = METADATA) -> object:
    """Return what the quick reader says: an event, a refusal, or nothing."""
    try:
        return fast_parser.read(raw, metadata)
    except RefusedError as error:
        return error.refused


def carefully(raw: bytes, metadata: FrameMetadata = METADATA) -> object:
    """Return what the models say."""
    with patch.object(fast_parser, "read", lambda *_: None):
        return frames.parse(raw, metadata)


def agree(raw: bytes, metadata: FrameMetadata = METADATA) -> bool:
    """Whether both say the same, or the quick one nothing. 1 and True are not the same."""
    said = quickly(raw, metadata)
    return said is None or repr(said) == repr(carefully(raw, metadata))
