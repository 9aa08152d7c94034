"""Packed files: gzip, xz, zstd and zip are told by their first byte, whatever the file is called; and writing of them.

No text that is read here begins with one of these bytes.
"""

import gzip
import lzma
import struct
import zlib
from importlib import import_module
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast
from zipfile import BadZipFile, ZipFile, ZipInfo

from tasks.errors import RecordingError
from tasks.optional import install_command

#: What is unpacked at once, in bytes.
CHUNK_BYTES = 256 * 1024
_NEEDS_ZSTD = f"a .zst file needs Python 3.14 or backports.zstd: {install_command('extras')}"
#: Suffixes of packings that nothing here writes.
_OTHER_PACKINGS = frozenset({".7z", ".br", ".bz2", ".lz4", ".rar", ".tar", ".tgz", ".zip"})
_ZIP_HEAD = struct.Struct("<4s5H3I2H")


class Readable(Protocol):
    """What is read piece by piece."""

    def read1(self, size: int = ..., /) -> bytes:
        """Return some bytes; none at the end."""
        ...


def _zstd() -> Any:
    """Return Python's own module for zstd, or the same for older versions; None: there is none."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(name)
        except ImportError:
            continue
    return None


ZSTD = _zstd()
#: What a damaged file raises while it is unpacked.
DAMAGE: tuple[type[Exception], ...] = (
    EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, BadZipFile, *([ZSTD.ZstdError] if ZSTD else []),
)  # fmt: skip


def _open_zstd(module: Any, file: Any, mode: str) -> Any:
    if module is None:
        raise RecordingError(_NEEDS_ZSTD)
    return module.ZstdFile(file, mode)


def is_zip(file: BufferedReader) -> bool:
    """Whether a file is a zip archive, which npz files are too."""
    return file.peek(1)[:1] == b"P"


def unpacked(file: BufferedReader, zstd: Any = ZSTD) -> Readable:
    """Return what is in a file that may be packed, but is no zip. Raises RecordingError: `zstd`, the module, is missing."""
    match file.peek(1)[:1]:
        case b"\x1f":
            return gzip.GzipFile(fileobj=file)
        case b"\xfd":
            return cast("Readable", lzma.LZMAFile(file))
        case b"\x28":
            return cast("Readable", _open_zstd(zstd, file, "rb"))
        case _:
            return file


def zip_member(path: Path, file: BufferedReader) -> tuple[str, Readable]:
    """Return name and content of the only file of an archive, also of one that is cut short.

    Raises RecordingError: there are several, or it can't be read.
    """
    start = file.tell() if file.seekable() else 0
    try:
        archive = ZipFile(file)
        names = [each for each in archive.infolist() if not each.is_dir()]
    except (BadZipFile, ValueError, OSError, struct.error, NotImplementedError):
        if file.seekable():
            file.seek(start)
        return _cut_member(file)
    member = _only(path, names)
    try:
        return member.filename, cast("Readable", archive.open(member))
    except (RuntimeError, NotImplementedError, ValueError) as error:
        raise RecordingError(f"{path} can't be unpacked: {error}") from None


def _only(path: Path, members: list[ZipInfo]) -> ZipInfo:
    if len(members) != 1:
        raise RecordingError(f"{path} holds {len(members)} files, not one: unpack it, and name those that are meant")
    return members[0]


def _cut_member(file: BufferedReader) -> tuple[str, Readable]:
    """Return the first member of an archive without its table of contents. Raises EOFError, BadZipFile."""
    head = file.read(_ZIP_HEAD.size)
    if len(head) < _ZIP_HEAD.size:
        raise EOFError("the archive ends in its first header")
    signature, _, flags, method, *_, name_bytes, extra_bytes = _ZIP_HEAD.unpack(head)
    if signature != b"PK\x03\x04" or flags & 1 or method not in {0, 8}:
        raise BadZipFile("it is no archive that can be read without its table of contents")
    name = file.read(name_bytes).decode("utf-8", "replace")
    file.read(extra_bytes)
    return name, _CutMember(file, zlib.decompressobj(-15) if method else None)


class _CutMember:
    """What there is of a packed file; it always ends with EOFError, because the table of contents is missing."""

    def __init__(self, file: BufferedReader, inflate: Any) -> None:
        self._file, self._inflate = file, inflate

    def read1(self, size: int = CHUNK_BYTES, /) -> bytes:
        """Return some bytes. Raises EOFError, zlib.error."""
        while True:
            tail = self._inflate.unconsumed_tail if self._inflate else b""
            data = tail or (b"" if self._inflate and self._inflate.eof else self._file.read1(size))
            if not data:
                raise EOFError("the archive's table of contents is missing")
            out = self._inflate.decompress(data, size) if self._inflate else data
            if out:
                return cast("bytes", out)


def open_packer(file: BinaryIO, suffix: str) -> BinaryIO:
    """Return what packs into a file, as the suffix of its name says: .gz, .xz, .zst; any other: as it is.

    Raises RecordingError: a package is missing, or the suffix is that of another packing.
    """
    if suffix in _OTHER_PACKINGS:
        raise RecordingError(f"a recording can't be packed as {suffix}: .gz, .xz and .zst can be")
    if suffix == ".gz":
        # Another level takes three times as long, and saves an eighth.
        return cast("BinaryIO", gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1, mtime=0))
    if suffix == ".xz":
        return cast("BinaryIO", lzma.LZMAFile(file, "wb", preset=1))
    if suffix == ".zst":
        return cast("BinaryIO", _open_zstd(ZSTD, file, "wb"))
    return file
