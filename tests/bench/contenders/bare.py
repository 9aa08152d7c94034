"""A bare loop: NATS, validation and strategies in one process; nothing durable."""

from tests.bench.application import Loop
from tests.bench.contenders.listening import DONE, counted, leave, listen


def main() -> None:
    """Work until SIGTERM, then tell."""
    loop, counter = Loop(), counted()

    def take(raw: bytes, subject: str, now_ns: int) -> None:
        counter.add(DONE, loop.take(raw, subject, now_ns))

    listen(take, lambda: leave(loop.verdict()))


if __name__ == "__main__":
    main()
