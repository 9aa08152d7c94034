"""What tests ask for: embedded servers, recordings, a namespace of their own."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose.local.processes import ROOT, Instance
from compose.local.servers import start_nats, start_redis
from tests.needs import missing


@pytest.fixture(scope="session")
def servers() -> Iterator[Instance]:
    """Where the session's servers live."""
    with Instance("tests") as instance:
        yield instance


@pytest.fixture(scope="session")
def nats_url(servers: Instance) -> str:
    return start_nats(servers)[1]


@pytest.fixture(scope="session")
def redis_url(servers: Instance) -> str:
    return start_redis(servers)[1]


@pytest.fixture
def namespace() -> str:
    """Keys and subjects with this prefix are this test's alone."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of the recordings, which are no part of the project."""
    named = os.environ.get("RECORDINGS_DIR")
    if named == "":
        pytest.skip("RECORDINGS_DIR is empty: there are no recordings here")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        missing(f"the recordings' folder {folder} is not there; RECORDINGS_DIR names another one")
    return folder
