"""The digest: equal for runs that committed the same signals and records, and for no others. Pure."""

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from tasks.protocol.records import Record

#: What the digest leaves out: they may differ between two runs that did the same.
NOT_IN_DIGEST = frozenset({"config_version", "schema_version"})


def canonical(fields: dict[str, Any]) -> bytes:
    """Return canonical JSON: sorted keys, no spaces, UTF-8, shortest floats."""
    return msgspec.json.encode(fields, order="sorted")


def digest_line(packed: bytes) -> tuple[int, str, bytes]:
    """Return what the digest sorts by and hashes of one signal: (event time, id, bytes)."""
    fields = msgspec.json.decode(packed)
    line = canonical({name: value for name, value in fields.items() if name not in NOT_IN_DIGEST})
    return fields["event_time_ms"], fields["id"], line


def digest(signals: Iterable[bytes], records: Iterable[tuple[str, str, Record]]) -> str:
    """Return the digest of signals (the contract's JSON) and records (pool, field in the ledger, record)."""
    return digest_of_lines(map(digest_line, signals), records)


def digest_of_lines(lines: Iterable[tuple[int, str, bytes]], records: Iterable[tuple[str, str, Record]]) -> str:
    """Return the digest of signals, each as `digest_line` returns it, and records.

    SHA-256 over every signal, sorted by event time, id and bytes, a line each without the fields that may differ
    between equal runs; then a line per record, sorted, with its count and running hash.
    """
    sha = hashlib.sha256()
    for _, _, line in sorted(lines):
        sha.update(line + b"\n")
    # A set, because a scan of Redis may give the same record twice.
    counted = {
        f"{pool} {field.removeprefix('record:').replace(':', ' ')} {record.count} {record.hash.hex()}\n"
        for pool, field, record in records
        if record.count
    }
    for text in sorted(counted):
        sha.update(text.encode())
    return sha.hexdigest()
