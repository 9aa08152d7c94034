"""The environment of the bridge to other exchanges: ccxt can't be in that of the tests."""

import subprocess
from pathlib import Path

from compose.local.processes import ROOT
from tests.support.needs import IN_CI, missing

#: Setting it up takes a minute.
_SETUP_S = 900


def bridge_python() -> Path:
    """Return the Python of the bridge; in CI the first `./run ingest ccxt` sets it up, elsewhere a test is skipped."""
    python = ROOT / ".venv-ccxt" / "bin" / "python"
    if IN_CI:
        # There is no such exchange: nothing else happens.
        subprocess.run([ROOT / "run", "ingest", "ccxt", "none", "none"], check=False, timeout=_SETUP_S)
    if not python.exists():
        missing("no ccxt: ./run ingest ccxt sets it up")
    return python
