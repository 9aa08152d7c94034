"""The table at the end of the session."""

from itertools import islice
from pathlib import Path

import msgspec
import pytest

from compose.local.processes import ROOT
from tasks.history import recordings as recorded
from tests.faults.verdict import Row, table

#: Of the recording.
LINES = 15_000

_ROWS = pytest.StashKey[list[Row]]()


@pytest.fixture
def rows(request: pytest.FixtureRequest) -> list[Row]:
    """Where each case puts its line."""
    return request.config.stash.setdefault(_ROWS, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash.get(_ROWS, [])
    if rows:
        terminalreporter.section("faults")
        for line in table(rows):
            terminalreporter.write_line(line)
        _keep(rows, ROOT / ".run" / "faults.json")


def _keep(rows: list[Row], file: Path) -> None:
    """Write them down beside what other sessions found out about other cases."""
    file.parent.mkdir(exist_ok=True)
    known = msgspec.json.decode(file.read_bytes(), type=list[Row]) if file.exists() else []
    latest = {(row.fault, row.mode): row for row in [*known, *rows]}
    file.write_bytes(msgspec.json.format(msgspec.json.encode(list(latest.values()))))


@pytest.fixture(scope="session")
def halves(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recording in two parts: what comes after a loss must be whole."""
    lines = [line.raw + b"\n" for line in islice(recorded.read(recording), LINES)]
    folder = tmp_path_factory.mktemp("halves")
    parts = folder / "first.jsonl", folder / "second.jsonl"
    for part, content in zip(parts, (lines[: len(lines) * 2 // 3], lines[len(lines) * 2 // 3 :]), strict=True):
        part.write_bytes(b"".join(content))
    return parts
