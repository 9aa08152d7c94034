"""What the settings say of which frames are refused: the same live and in all that reads recordings."""

from tasks.frames.plausibility import PlausibilityLimits
from tasks.frames.symbols import spellings
from tasks.settings.model import Settings


def frame_limits(settings: Settings) -> PlausibilityLimits:
    """Return the limits; a symbol of ALLOWED_SYMBOLS is meant as it is typed, and in upper case."""
    allowed = {symbol for typed in filter(None, settings.allowed_symbols.split(",")) for symbol in spellings(typed)}
    return PlausibilityLimits(settings.max_clock_lead_s, settings.max_book_jump, tuple(sorted(allowed)))
