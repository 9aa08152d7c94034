"""A lease in Redis that says that a slice runs: it is gone soon after the process is."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis

from tasks.clients.redis_client import FAILED
from tasks.sweep.slice_task import LEASE_S

#: So often it is renewed before it would be gone.
RENEWALS = 6


@contextmanager
def leased(client: redis.Redis, key: str, lease_s: float = LEASE_S) -> Iterator[None]:
    """Hold a lease as long as the block runs. Raises what Redis raises at the beginning.

    A thread renews it, also while the strategy's code waits or computes in Python.
    """
    lasting_ms = int(lease_s * 1_000)
    client.set(key, b"", px=lasting_ms)
    over = threading.Event()

    def renew() -> None:
        while not over.wait(lease_s / RENEWALS):
            with suppress(*FAILED):
                client.set(key, b"", px=lasting_ms)

    renewing = threading.Thread(target=renew, daemon=True)
    renewing.start()
    try:
        yield
    finally:
        over.set()
        renewing.join()
        with suppress(*FAILED):
            client.delete(key)
