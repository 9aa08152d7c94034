"""How Flower ends."""

import os
import signal
import subprocess
import sys

import pytest

from compose.local.processes import ROOT
from compose.local.servers import free_port

#: Flower, which gets a signal as it has started a thread of its pool, and has not yet noted which.
PROGRAM = """
import os, sys, threading
from celery.__main__ import main

start = threading.Thread.start

def interrupted(thread):
    start(thread)
    if thread.name.startswith("ThreadPoolExecutor"):
        threading.Thread.start = start
        os.kill(os.getpid(), int(sys.argv.pop()))

threading.Thread.start = interrupted
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_while_flower_starts_a_thread_ends_it(redis_url: str, namespace: str, number: signal.Signals):
    environment = {**os.environ, "REDIS_URL": redis_url, "NAMESPACE": namespace}
    command = [sys.executable, "-c", PROGRAM, "-A", "tasks", "flower", f"--port={free_port()}", str(int(number))]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr
