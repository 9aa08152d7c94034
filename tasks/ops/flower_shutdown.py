"""How Flower ends: SIGINT and SIGTERM stop its event loop; `flowerconfig` calls `install`.

Flower itself raises an exception wherever the signal arrives. Where that is the start of a thread of its pool, its end
waits for this thread for ever.
"""

import signal

import flower.command
from flower.app import Flower


class StoppableFlower(Flower):  # type: ignore[misc]  # Flower has no types
    """Flower, ended by its event loop."""

    def start(self) -> None:
        """Serve until a signal comes; one that came since this began ends it at once."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self.io_loop.asyncio_loop.add_signal_handler(number, self.io_loop.stop)
        super().start()


def install() -> None:
    """Have Flower's command run `StoppableFlower`."""
    flower.command.Flower = StoppableFlower
