"""A thread beside a main thread that forks leaves no lock and no socket in the children."""

import subprocess
import sys

from compose.local.processes import ROOT

# The thread logs without a pause; each child logs once. Without the gate a child soon finds the log's lock taken.
SCRIPT = """
import asyncio, os, signal, socket, sys
import structlog
from tasks.worker.fork_safe_loop import ForkSafeLoopThread
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
log = structlog.get_logger()
server = socket.create_server(("127.0.0.1", 0))

async def main(up):
    asyncio.get_running_loop().add_reader(server, lambda: None)
    up()
    while True:
        log.info("beside")
        await asyncio.sleep(0)

thread = ForkSafeLoopThread()
thread.start(main)
for _ in range({forks}):
    child = os.fork()
    if not child:
        signal.alarm(5)
        log.info("child")
        is_socket = os.path.exists(f"/proc/self/fd/{{server.fileno()}}") and "socket" in os.readlink(
            f"/proc/self/fd/{{server.fileno()}}"
        )
        os._exit(int(is_socket))
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit(f"a child ended with {{os.waitstatus_to_exitcode(status)}}")
print("well", flush=True)
os._exit(0)
"""


def test_children_find_no_lock_taken_and_hold_no_socket_of_the_thread():
    script = [sys.executable, "-W", "error::ResourceWarning", "-c", SCRIPT.format(forks=200)]
    ended = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (0, "well\n"), ended.stderr[-2000:]
