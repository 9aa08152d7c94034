"""What unit tests ask for."""

import os
from collections.abc import Iterator

import pytest

from tasks.settings import load


@pytest.fixture
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No variable is set, and no settings were read before."""
    for name in os.environ:
        monkeypatch.delenv(name)
    load.cache_clear()
    yield
    load.cache_clear()
