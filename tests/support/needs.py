"""Parts of the system that not every machine has."""

import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NoReturn

import pytest

IN_CI = os.environ.get("CI") == "true"


def missing(what: str, *, in_ci: bool = IN_CI) -> NoReturn:
    """Skip the test for want of something; in CI, where everything must be there, fail it."""
    if in_ci:
        pytest.fail(f"{what} (CI must have it)")
    pytest.skip(what)


def site_generator() -> None:
    """Look for what builds the site: it is no part of the tests' requirements."""
    if not find_spec("zensical"):
        missing("the site's generator is not installed: ./run site does it")


def module(name: str) -> Any:
    """Import a module of an optional dependency."""
    try:
        return import_module(name)
    except ImportError:
        missing(f"{name} is not installed: pip install --require-hashes -r requirements/dev.txt")
