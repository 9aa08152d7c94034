"""Signals as lines of JSON on standard output."""

import asyncio
import os
import sys
import threading

from tasks.deliver.signal_fields import SignalFields


class StdoutSink:
    """Writes each signal as a line. Raises BrokenPipeError once nobody reads them."""

    async def open(self) -> None:
        """Nothing has to be opened."""

    async def send(self, signal: SignalFields, packed: bytes) -> None:  # noqa: ARG002 as every sink
        """Write a line; who reads it may take any time, and the lease is renewed meanwhile."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()

        def settle(error: OSError | None) -> None:
            if not written.done():
                written.set_exception(error) if error else written.set_result(None)

        def write() -> None:
            error = _write(packed + b"\n")
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, error)

        # Not one of the loop's own: it would be waited for at the end, while nobody reads.
        threading.Thread(target=write, daemon=True).start()
        await written

    async def close(self) -> None:
        """Nothing is left."""


def _write(line: bytes) -> OSError | None:
    """Write all of it; return what prevents that."""
    left = memoryview(line)
    try:
        while left:
            left = left[os.write(sys.stdout.fileno(), left) :]
    except OSError as error:
        return error
    return None
