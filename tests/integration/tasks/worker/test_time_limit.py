"""The limit of a run, in processes of their own: it ends them."""

import signal
import subprocess
import sys

import pytest

from tasks.protocol.strikes import NO_MEMORY_STATUS

SCRIPT = """
from tasks.worker.time_limit import bounded
{before}
with bounded({limit_s}):
    {block}
print("went on")
{after}
"""


def ran(block: str, limit_s: float = 60, before: str = "", after: str = "") -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(block=block, limit_s=limit_s, before=before, after=after)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("block", ["while True: pass", "list(range(10)).sort(key=lambda _: sum(range(10**12)))"])
def test_a_run_that_takes_longer_ends_its_process_with_a_traceback(block: str):
    """The second one is in C code and does not let the interpreter go on."""
    done = ran(block, limit_s=0.2)
    assert (done.returncode, done.stdout) == (-signal.SIGALRM, "")
    assert 'File "<string>", line 5' in done.stderr


def test_a_run_that_takes_all_memory_ends_its_process_with_its_own_status():
    done = ran("raise MemoryError")
    assert (done.returncode, done.stdout) == (NO_MEMORY_STATUS, "")
    assert "MemoryError" in done.stderr


@pytest.mark.parametrize("block", ["pass", "raise KeyError"])
def test_after_the_run_the_limit_is_off(block: str):
    """Whether it raised or not: the timer is none, so nothing can end the process later."""
    caught = "import contextlib, signal\nstack = contextlib.suppress(KeyError).__enter__"
    done = ran(
        f"with contextlib.suppress(KeyError): {block}",
        before=caught,
        after="print(signal.getitimer(signal.ITIMER_REAL))",
    )
    assert done.stdout.splitlines() == ["went on", "(0.0, 0.0)"]
