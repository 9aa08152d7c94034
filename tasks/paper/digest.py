"""The digest of paper accounts: equal for runs that closed the same positions and hold the same, and for no others. Pure."""

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from tasks.paper import state
from tasks.protocol.digest import NOT_IN_DIGEST, canonical


def positions_digest(positions: Iterable[bytes], accounts: Iterable[tuple[str, str, bytes]]) -> str:
    """Return the digest of closed positions (JSON) and accounts (pool, field in the ledger, packed).

    SHA-256 over every closed position, sorted by when it was closed, id and bytes, a line each without the fields that
    may differ between equal runs; then a line per pool, strategy and symbol, sorted, with what its account holds: pending
    orders, open position, totals. Raises UnusableStateError and msgspec.MsgspecError.
    """
    sha = hashlib.sha256()
    for _, _, line in sorted(map(_position_line, positions)):
        sha.update(line + b"\n")
    # A set, because a scan of Redis may give the same account twice.
    for text in sorted({line for account in accounts for line in _account_lines(*account)}):
        sha.update(text + b"\n")
    return sha.hexdigest()


def _position_line(packed: bytes) -> tuple[int, str, bytes]:
    fields: dict[str, Any] = msgspec.json.decode(packed)
    line = canonical({name: value for name, value in fields.items() if name not in NOT_IN_DIGEST})
    return fields["closed_ms"], fields["id"], line


def _account_lines(pool: str, field: str, packed: bytes) -> Iterable[bytes]:
    for symbol, account in state.unpack(packed).symbols.items():
        named = f"{pool} {field.removeprefix('paper:').replace(':', ' ')} {symbol} "
        yield named.encode() + msgspec.json.encode(account)
