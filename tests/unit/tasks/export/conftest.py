import pytest

from tests.support import needs


@pytest.fixture
def pyarrow():
    """What every table needs."""
    return needs.module("pyarrow")
