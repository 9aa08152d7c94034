"""A NATS server whose machine lost what it had not synced: it comes back with an older copy of its store."""

import shutil
import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from compose.local.processes import Instance, Process
from tests.support.waiting import wait_for


class ForgetfulNats:
    """A server of the local stack, whose store is copied, and put back when it has stopped or was killed."""

    def __init__(self, instance: Instance, server: Process, url: str) -> None:
        self._instance, self._server, self._address = instance, server, urlsplit(url)
        self._store = Path(instance.directory) / server.name / "jetstream"
        self._copy = self._store.with_name("copy")

    def save(self) -> None:
        """Remember what it holds now."""
        self._instance.stop(self._server)
        shutil.copytree(self._store, self._copy)
        self.start()

    def sync(self) -> None:
        """Remember what its files hold now, while it writes them: not all of one moment, as a disk would."""
        wait_for(self._copies, "a copy of its files")

    def _copies(self) -> bool:
        shutil.rmtree(self._copy, ignore_errors=True)
        # It replaces some of its files by others, and one that is gone meanwhile ends a copy.
        with suppress(shutil.Error, FileNotFoundError):
            shutil.copytree(self._store, self._copy)
            return True
        return False

    def crash(self) -> None:
        """End its machine, which had written what `sync` remembered; `start` starts it again."""
        self._instance.kill(self._server)
        shutil.rmtree(self._store)
        shutil.copytree(self._copy, self._store)

    def lose(self) -> None:
        """Stop it, and put back what it held then: `start` starts it again."""
        self._instance.stop(self._server)
        shutil.rmtree(self._store)
        shutil.copytree(self._copy, self._store)

    def start(self) -> None:
        """Start it where it was."""
        self._instance.start_again(self._server)
        wait_for(self._listens, "NATS")

    def _listens(self) -> bool:
        where = self._address.hostname or "", self._address.port or 0
        with suppress(OSError), socket.create_connection(where, timeout=1):
            return True
        return False
