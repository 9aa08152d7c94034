"""The folders of datasets: each appears whole, and is locked while somebody makes it, reads it or removes it.

    RESEARCH_DIR/data/<key>/    index.json  00001.events  00002.events ...  lock
    RESEARCH_DIR/data/.<word>/  what is being made or removed; without a living process: a leftover

Locks are flock's, so they end with their process, however it ends. Makers and removers lock a folder for themselves,
readers share the lock.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from tasks.errors import UNREADABLE, DatasetError
from tasks.sweep.datasets.dataset import Dataset, pack_index, unpack_index

INDEX = "index.json"
LOCK = "lock"


def dataset_path(directory: Path, key: str) -> Path:
    """Return the folder of a dataset below RESEARCH_DIR."""
    return directory / "data" / key


def read_index(directory: Path, key: str) -> Dataset:
    """Return the index of a dataset. Raises DatasetError: there is none."""
    return read_index_file(dataset_path(directory, key) / INDEX)


def read_index_file(path: Path) -> Dataset:
    """Return the index that is in a file. Raises DatasetError."""
    try:
        return unpack_index(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"can't read {path}: {error.strerror or error}") from None
    except UNREADABLE as error:
        raise DatasetError(f"{path} is damaged: {error}") from None


def whole_dataset(directory: Path, key: str) -> Dataset | None:
    """Return a dataset of which every file is there, with its size; None: there is none."""
    try:
        dataset = read_index(directory, key)
    except DatasetError:
        return None
    folder = dataset_path(directory, key)
    return dataset if all(is_there(folder / each.file, each.size) for each in dataset.files) else None


def is_there(path: Path, size: int) -> bool:
    """Whether there is a file of this size in bytes."""
    try:
        return path.stat().st_size == size
    except OSError:
        return False


class DatasetHold:
    """A dataset that is in use: until it is closed, nobody removes it. It is a context manager."""

    def __init__(self, directory: Path, key: str) -> None:
        """Hold a dataset, and count it as used now. Raises DatasetError: it is not there."""
        folder = dataset_path(directory, key)
        try:
            self._lock: int | None = _locked(folder / LOCK, fcntl.LOCK_SH)
        except OSError as error:
            raise DatasetError(f"can't read {folder}: {error.strerror or error}") from None
        if self._lock is None:
            raise DatasetError(f"can't read {folder}: it was removed just now")
        with suppress(OSError):  # On a share that may only be read.
            os.utime(folder)

    def close(self) -> None:
        """Let it go."""
        if self._lock is not None:
            _unlock(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def new_folder(directory: Path) -> Iterator[Path]:
    """Yield an empty folder for a dataset, which is removed at the end unless it was published. Raises OSError."""
    data = directory / "data"
    data.mkdir(parents=True, exist_ok=True)
    folder, lock = _make_locked(data)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _unlock(lock)


def publish(folder: Path, directory: Path, dataset: Dataset) -> None:
    """Make a folder that `new_folder` made that of a dataset, where there is none that is whole. Raises OSError.

    Raises DatasetError: one is removed again and again.
    """
    (folder / INDEX).write_bytes(pack_index(dataset))
    target = dataset_path(directory, dataset.key)
    for _ in range(5):
        with suppress(OSError):
            folder.rename(target)
            return
        with suppress(DatasetError), DatasetHold(directory, dataset.key):
            if whole_dataset(directory, dataset.key) is None:
                _mend(folder, target, dataset)
            return
    folder.rename(target)  # Raises what is wrong.


def _mend(folder: Path, target: Path, dataset: Dataset) -> None:
    """Put what there is into an incomplete dataset, the index last. Raises OSError."""
    for name in (*(each.file for each in dataset.files), INDEX):
        if (folder / name).exists():
            (folder / name).replace(target / name)


def remove_leftovers(directory: Path) -> None:
    """Remove what processes left behind that died while they made or removed a dataset."""
    for folder in directory.glob("data/.*"):
        with suppress(OSError):
            lock = _locked(folder / LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB, os.O_CREAT)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                _unlock(lock)


def remove(folder: Path) -> bool:
    """Remove a dataset, and return whether that was done: not one that is in use."""
    try:
        lock = _locked(folder / LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    if lock is None:
        return False
    try:
        # A name that no reader looks for, before the first of its files is gone.
        gone = folder.with_name(f".{folder.name}.{os.getpid()}")
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
    except OSError:
        return False
    finally:
        _unlock(lock)
    return True


def _make_locked(data: Path) -> tuple[Path, int]:
    """Make a folder and lock it, again if another process took it for a leftover in between. Raises OSError."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=".", dir=data))
        with suppress(FileNotFoundError, BlockingIOError):
            folder.chmod(0o755)  # Workers may be other users.
            lock = _locked(folder / LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB, os.O_CREAT)
            if lock is not None:
                return folder, lock


def _locked(path: Path, how: int, flags: int = 0) -> int | None:
    """Return the descriptor of a file that is locked; None: it was removed meanwhile. Raises OSError."""
    lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags, 0o644)
    try:
        fcntl.flock(lock, how)
        if path.stat().st_ino == os.fstat(lock).st_ino:
            return lock
    except FileNotFoundError:
        pass
    except OSError:
        os.close(lock)
        raise
    os.close(lock)
    return None


def _unlock(lock: int) -> None:
    # Closed only, it stays locked while a child that was forked meanwhile has it.
    fcntl.flock(lock, fcntl.LOCK_UN)
    os.close(lock)
