"""A server that takes every connection and never says a word."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_HOST = "127.0.0.1"


class SilentServer:
    """The server, and the connections that it has taken."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        #: Its address as that of a Redis.
        self.url = f"redis://{_HOST}:{listener.getsockname()[1]}/0"
        self.taken: list[socket.socket] = []

    def accept(self) -> None:
        """Take connections until the listener is closed."""
        with suppress(OSError):
            while True:
                self.taken.append(self._listener.accept()[0])


@contextmanager
def silent_server() -> Iterator[SilentServer]:
    with socket.create_server((_HOST, 0)) as listener:
        server = SilentServer(listener)
        thread = threading.Thread(target=server.accept)
        thread.start()
        try:
            yield server
        finally:
            # Closing alone does not wake up who waits in `accept`.
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for taken in server.taken:
                taken.close()
