"""What tests ask for: embedded servers, recordings, a namespace of their own."""

import gc
import os
import signal
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from compose.local.processes import ROOT, Instance
from compose.local.servers import start_nats, start_redis
from tasks.settings import load
from tests.data import RECORDING, SPOT, USDM
from tests.support.files.openings import write_opening
from tests.support.logging_defaults import restore_logging_defaults
from tests.support.needs import missing

# A shell without job control has what it starts in the background ignore Ctrl-C, and so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says something about the machine, and nothing about the code.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

#: Frames of `opening`.
_OPENING = 9_000


@pytest.fixture(autouse=True)
def fresh_settings() -> Iterator[None]:
    """Settings are read once a process: what a test made of them is not to be the next one's; nor its folders."""
    path = list(sys.path)
    # Nor what a fixture of the module before made of them.
    load.cache_clear()
    yield
    load.cache_clear()
    sys.path[:] = path


@pytest.fixture(autouse=True)
def fresh_logging() -> Iterator[None]:
    """What a test's commands configured is not to decide what the next test logs."""
    yield
    restore_logging_defaults()


@pytest.fixture(autouse=True)
def nothing_left_open(request: pytest.FixtureRequest) -> Iterator[None]:
    """A connection that a test forgot is this test's fault, and not that of the one in which it would be collected."""
    yield
    if {"anyio_backend", "servers"} & set(request.fixturenames):
        gc.collect()


def pytest_collection_finish() -> None:
    """Have the garbage collector leave alone what stays to the end: thousands of tests, and what they import."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop of asynchronous tests."""
    return "asyncio"


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
def recording() -> Path:
    """The recording that comes with the project: a simulated market, six symbols, spot and futures."""
    return RECORDING


@pytest.fixture(scope="session")
def opening(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first third of the recording, in which four of the six strategies give signals."""
    return write_opening(recording, _OPENING, tmp_path_factory.mktemp("opening") / "opening.jsonl")


@pytest.fixture(scope="session", params=["shipped", pytest.param(SPOT, marks=pytest.mark.slow), USDM])
def each_recording(request: pytest.FixtureRequest) -> Path:
    """The recording that comes with the project and, where they are, the real ones; each in a test of its own.

    The spot market's is three times as long as the others, and left to the long form.
    """
    if request.param == "shipped":
        return RECORDING
    folder: Path = request.getfixturevalue("recordings")
    return folder / str(request.param)


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of the real recordings, which are no part of the project: for tests of facts about them."""
    named = os.environ.get("RECORDINGS_DIR")
    if named == "":
        pytest.skip("RECORDINGS_DIR is empty: there are no recordings here")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        missing(f"the recordings' folder {folder} is not there; RECORDINGS_DIR names another one")
    return folder
