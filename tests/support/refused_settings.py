"""What the settings say of an environment that they refuse."""

import pytest

from tasks.errors import SettingsError
from tasks.settings import load


def refusal() -> list[str]:
    """Return the headline, and the faults in a line each; one fault stands in the headline's line."""
    with pytest.raises(SettingsError) as raised:
        load()
    if not raised.value.faults:
        return str(raised.value).splitlines()
    text = str(raised.value)
    if len(raised.value.faults) == 1:
        text = text.replace(": ", ":\n  ", 1)
    return text.splitlines()
