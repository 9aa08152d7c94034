"""Parts of the system that not every machine has."""

import os
from typing import NoReturn

import pytest

IN_CI = os.environ.get("CI") == "true"


def missing(what: str, *, in_ci: bool = IN_CI) -> NoReturn:
    """Skip the test for want of something; in CI, where everything must be there, fail it."""
    if in_ci:
        pytest.fail(f"{what} (CI must have it)")
    pytest.skip(what)
