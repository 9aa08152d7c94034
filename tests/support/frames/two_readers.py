"""A frame through each of the two readers."""

from unittest.mock import patch

from tasks import frames
from tasks.frames import fast_parser
from tasks.frames.model import Arrival, RefusedError
from tests.support.frames.wire import ARRIVAL


def quickly(raw: bytes, arrival: Arrival = ARRIVAL) -> object:
    """Return what the quick reader says: an event, a refusal, or nothing."""
    try:
        return fast_parser.read(raw, arrival)
    except RefusedError as error:
        return error.refused


def carefully(raw: bytes, arrival: Arrival = ARRIVAL) -> object:
    """Return what the models say."""
    with patch.object(fast_parser, "read", lambda *_: None):
        return frames.parse(raw, arrival)


def agree(raw: bytes, arrival: Arrival = ARRIVAL) -> bool:
    """Whether both say the same, or the quick one nothing. 1 and True are not the same."""
    said = quickly(raw, arrival)
    return said is None or repr(said) == repr(carefully(raw, arrival))
