"""Parts of the system that not every machine has."""

import os
from importlib import import_module
from typing import Any, NoReturn

import pytest

IN_CI = os.environ.get("CI") == "true"


def missing(what: str, *, in_ci: bool = IN_CI) -> NoReturn:
    """Skip the test for want of something; in CI, where everything must be there, fail it."""
    if in_ci:
        pytest.fail(f"{what} (CI must have it)")
    pytest.skip(what)


def module(name: str) -> Any:
    """Import a module of an optional dependency."""
    try:
        return import_module(name)
    except ImportError:
        missing(f"{name} is not installed: pip install -r requirements-dev.txt")
