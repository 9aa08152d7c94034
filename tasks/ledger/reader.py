"""Reads what the live pipeline has committed: the signal stream, the records, and the digest over both."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import redis

from tasks.clients.redis_client import FAILED, connect, connection_options
from tasks.configuration import Configuration
from tasks.configuration.aliases import AliasedStrategy
from tasks.configuration.audit import Audit
from tasks.errors import UNREADABLE, LedgerError, ServerUnavailableError, TrimmedError, UnreadableEntryError
from tasks.frames.symbols import symbol_of
from tasks.ledger import pager
from tasks.ledger.aliases import AliasStore
from tasks.ledger.keys import LedgerKeys
from tasks.paper import StoredAccount, positions_digest, read_accounts
from tasks.paper.state import UnusableStateError
from tasks.protocol.counters import Counts
from tasks.protocol.digest import digest_line, digest_of_lines
from tasks.protocol.records import Record, unpack
from tasks.settings import Settings, mask

CHUNK = 1_000
#: How long one of several ledgers may hang where others are read meanwhile.
HANGS_S = 2.0
_NO_SIGNAL: tuple[type[Exception], ...] = (*UNREADABLE, ValueError)


class _SortKey(msgspec.Struct):
    """The fields by which the digest sorts signals."""

    event_time_ms: int
    id: str


_check = msgspec.json.Decoder(_SortKey).decode


class LedgerReader:
    """Read access to the ledger for commands and summaries."""

    def __init__(self, settings: Settings) -> None:
        options = connection_options(retries=3)
        #: Of every ledger; and of the first, which has what belongs to no shard.
        self.clients = tuple(connect(settings, url, **options) for url in settings.ledgers)
        self.client = self.clients[0]
        self.keys = LedgerKeys(settings.namespace)
        self._settings, self._impatient = settings, list[redis.Redis]()

    def impatient_clients(self) -> Sequence[redis.Redis]:
        """Return a client of each ledger that gives up soon, where there are others to go on with."""
        if len(self.clients) == 1:
            return self.clients
        if not self._impatient:
            options = connection_options() | {"socket_timeout": HANGS_S, "socket_connect_timeout": HANGS_S}
            self._impatient += [connect(self._settings, url, **options) for url in self._settings.ledgers]
        return self._impatient

    @classmethod
    def reach(cls, settings: Settings) -> "LedgerReader":
        """Connect now. Raises ServerUnavailableError: a ledger does not answer."""
        reader, setting = cls(settings), "LEDGER_URLS" if settings.ledger_urls else "REDIS_URL"
        for client, url in zip(reader.clients, settings.ledgers, strict=True):
            try:
                client.ping()
            except FAILED as error:
                raise ServerUnavailableError(f"Redis does not answer at {mask(url)} ({setting}): {error}") from None
        return reader

    def close(self) -> None:
        """Close the connections."""
        for client in (*self.clients, *self._impatient):
            client.close()

    def aliases(self) -> dict[str, AliasedStrategy]:
        """Return the aliases of strategies. Raises LedgerError: they can't be read."""
        return AliasStore(self.client, self.keys.configuration).read()

    def signals(self) -> Iterator[bytes]:
        """Yield every signal that the stream holds, oldest first."""
        for _, packed in self.entries(self.keys.signals, b"signal"):
            yield packed

    def entries(self, stream: str, field: bytes, start: str = "-") -> Iterator[tuple[str, bytes]]:
        """Yield (entry id, value) of a stream, oldest first, from the entry id `start` on.

        Raises UnreadableEntryError: an entry has no such field.
        """
        for entry in pager.entries(self.clients, stream, start):
            yield entry[0], _value(stream, field, entry)

    def records(self) -> Iterator[tuple[str, str, Record]]:
        """Yield (pool, field, record) of every record. Raises LedgerError: one can't be read."""
        for pool, field, packed in self._fields("record:*"):
            try:
                record = unpack(packed)
            except UNREADABLE as error:
                raise LedgerError(f"{field!r} in pool {pool} can't be read: {error}") from None
            yield pool, field, record

    def accounts(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield (pool, field, packed state) of every paper account."""
        yield from self._fields("paper:*")

    def _fields(self, pattern: str) -> Iterator[tuple[str, str, bytes]]:
        prefix = self.keys.pool("")
        for client in self.clients:
            for key in client.scan_iter(match=f"{prefix}*", count=CHUNK):
                pool = key.decode().removeprefix(prefix)
                for field, packed in client.hscan_iter(key, match=pattern, count=CHUNK):
                    yield pool, field.decode(errors="replace"), packed

    def symbols(self) -> set[str]:
        """Return every symbol of which an event was ever given to a strategy."""
        return {symbol_of(field.split(":")[2]) for _, field, _ in self._fields("record:*:*:*")}

    def counters(self) -> Counts:
        """Return every counter, summed over the ledgers."""
        stored: Iterator[Any] = (client.hgetall(self.keys.counters) for client in self.clients)
        return Counts.sum_of(map(Counts.read, stored))

    def audit(self) -> Audit:
        """Return the configurations of the run. Raises LedgerError when the ledger holds none."""
        lines = [line for _, line in self.entries(self.keys.audit, b"line")]
        if not lines:
            raise LedgerError(f"namespace {self.keys.namespace!r} holds no audit: nothing ran in it")
        stored: Any = self.client.hgetall(self.keys.configurations)
        known = {version.decode(errors="replace"): packed for version, packed in stored.items()}
        return Audit(lines, {version: Configuration.parse_as(version, packed) for version, packed in known.items()})

    def digest(self) -> str:
        """Return the digest of all that was committed.

        Raises TrimmedError when signals are missing, UnreadableEntryError or LedgerError when something is no signal or
        no record.
        """
        self._refuse_trimmed(self.keys.signals)
        return digest_of_lines(self._lines(), self.records())

    def positions(self) -> Iterator[bytes]:
        """Yield every closed position that the stream holds, oldest first."""
        for _, packed in self.entries(self.keys.positions, b"position"):
            yield packed

    def stored_accounts(self) -> list[StoredAccount]:
        """Return the paper accounts, sorted by strategy, venue and symbol. Raises LedgerError: one can't be read."""
        try:
            return read_accounts(self.accounts())
        except UnusableStateError as error:
            raise LedgerError(f"the paper accounts can't be read: {error}") from None

    def positions_digest(self) -> str:
        """Return the digest of the paper accounts.

        Raises TrimmedError when closed positions are missing, and LedgerError when something is no position or account.
        """
        self._refuse_trimmed(
            self.keys.positions, "the stream of closed positions was trimmed, so there is no digest of all of them"
        )
        try:
            return positions_digest(self.positions(), self.accounts())
        except _NO_SIGNAL as error:
            raise LedgerError(f"the paper accounts can't be read: {error}") from None

    def is_trimmed(self, stream: str) -> bool:
        """Return whether a stream has had more entries than it holds, in any ledger."""
        return any(_is_trimmed(client, stream) for client in self.clients)

    def first_kept(self, stream: str, field: bytes) -> Iterator[bytes]:
        """Yield the first entry of a stream in each ledger that has had more than it holds.

        Raises UnreadableEntryError: an entry has no such field.
        """
        for client, part in zip(self.clients, pager.parts(self.clients, stream), strict=True):
            if _is_trimmed(client, stream) and (first := next(part, None)):
                yield _value(stream, field, first)

    def clocks_ms(self) -> list[int]:
        """Return the clock of each ledger, which dates its entries: unix milliseconds."""
        times = (client.time() for client in self.clients)
        return [now_s * 1_000 + now_us // 1_000 for now_s, now_us in times]

    def _refuse_trimmed(self, stream: str, refusal: str | None = None) -> None:
        if self.is_trimmed(stream):
            raise TrimmedError(refusal)

    def _lines(self) -> Iterator[tuple[int, str, bytes]]:
        for name, packed in self.entries(self.keys.signals, b"signal"):
            try:
                _check(packed)
                line = digest_line(packed)
            except _NO_SIGNAL as error:
                raise UnreadableEntryError.of(self.keys.signals, name, error) from None
            yield line


def _value(stream: str, field: bytes, entry: pager.Entry) -> bytes:
    name, fields = entry
    if field not in fields:
        raise UnreadableEntryError.of(stream, name, KeyError(field.decode()))
    return fields[field]


def _is_trimmed(client: redis.Redis, stream: str) -> bool:
    if not client.exists(stream):
        return False
    about: Any = client.xinfo_stream(stream)
    return bool(about["entries-added"] != about["length"])
