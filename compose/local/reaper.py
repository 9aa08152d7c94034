"""Leaves nothing behind: ends process groups and removes a directory once whoever started them is gone.

    python reaper.py DIRECTORY < pipe

Only the parent holds the write end of the pipe, so end of file means that the parent ended, however it did: by
itself, by an exception, by kill -9. Until then it says what runs: a line `+GROUP` for a process group that started,
`-GROUP` for one that is gone. Runs by its path, without the packages around it, and in a session of its own, so that
neither Ctrl-C nor a closed terminal reaches it.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable

GRACE_S = 3.0
_POLL_S = 0.02


def follow(lines: Iterable[bytes]) -> set[int]:
    """Read lines until their end; return the groups that were still there."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        (groups.add if line[:1] == b"+" else groups.discard)(group)
    return groups


def send(group: int, number: int) -> bool:
    """Send a signal to a process group; 0 only asks. Returns whether there was anybody to get it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of a group that only holds zombies
        return False
    return True


def end(groups: set[int]) -> None:
    """Ask the groups to end; after the grace, make them."""
    for group in groups:
        send(group, signal.SIGTERM)
    deadline_s = time.monotonic() + GRACE_S
    while any(send(group, 0) for group in groups) and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)
    for group in groups:
        send(group, signal.SIGKILL)


def main() -> None:
    """Follow standard input; then end what is left and remove the directory."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end(follow(sys.stdin.buffer))
    shutil.rmtree(sys.argv[1], ignore_errors=True)


if __name__ == "__main__":
    main()
