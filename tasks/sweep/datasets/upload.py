"""Datasets in NATS' object store, for workers that see no folder of the command's.

The bucket has an object for each file, named as below RESEARCH_DIR: `<key>/00001.events`, and last `<key>/index.json`.
"""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import APIError, NotFoundError, ObjectNotFoundError, ServiceUnavailableError
from nats.js.object_store import ObjectStore

from tasks.clients.nats_client import connect_once
from tasks.errors import DatasetError, ServerUnavailableError
from tasks.settings import Settings, mask
from tasks.sweep.datasets.cache import trim_datasets
from tasks.sweep.datasets.dataset import Dataset, SymbolEvents
from tasks.sweep.datasets.folder import (
    INDEX,
    DatasetHold,
    dataset_path,
    is_there,
    new_folder,
    publish,
    read_index,
    read_index_file,
)

BUCKET = "research"
#: How long nothing of an object may come.
SILENCE_S = 10.0

#: A venue and a symbol.
Market = tuple[str, str]


def upload(dataset: Dataset, settings: Settings, progress: Callable[[int], None] = lambda _: None) -> None:
    """Put a dataset into the object store, all but what is there; `progress` takes the bytes of each further file.

    Raises DatasetError: it is not below RESEARCH_DIR, or NATS does not store it; ServerUnavailableError, SettingsError.
    """
    with DatasetHold(settings.research_path, dataset.key):
        asyncio.run(_upload(dataset, settings, progress))


def fetch(key: str, markets: Collection[Market], settings: Settings, silence_s: float = SILENCE_S) -> Dataset:
    """Return a dataset's index, once the files of these markets (none: all) are below RESEARCH_DIR.

    What is missing is downloaded, unless nothing comes for `silence_s`, and RESEARCH_CACHE_MIB kept. Raises DatasetError: it is not in the object store, is
    damaged there or can't be written; ServerUnavailableError, SettingsError.
    """
    directory = settings.research_path
    with suppress(DatasetError), DatasetHold(directory, key):
        dataset = read_index(directory, key)
        if not _missing(dataset, markets, directory):
            return dataset
    try:
        dataset = asyncio.run(_fetch(key, markets, settings, silence_s))
    except OSError as error:
        raise DatasetError(f"can't write to {directory} (RESEARCH_DIR): {error.strerror or error}") from None
    trim_datasets(settings, keep=[key])
    return dataset


def _missing(dataset: Dataset, markets: Collection[Market], directory: Path) -> list[SymbolEvents]:
    folder = dataset_path(directory, dataset.key)
    wanted = [each for each in dataset.files if not markets or (each.venue, each.symbol) in markets]
    return [each for each in wanted if not is_there(folder / each.file, each.size)]


async def _upload(dataset: Dataset, settings: Settings, progress: Callable[[int], None]) -> None:
    folder = dataset_path(settings.research_path, dataset.key)
    async with _bucket(settings) as bucket:
        for each in (*dataset.files, None):
            path = folder / (each.file if each else INDEX)
            await _put(bucket, f"{dataset.key}/{path.name}", path, each.sha256 if each else _sha256(path))
            progress(each.size if each else 0)


async def _put(bucket: ObjectStore, name: str, path: Path, sha256: str) -> None:
    digest = base64.urlsafe_b64encode(bytes.fromhex(sha256)).decode()
    with suppress(ObjectNotFoundError):
        found = await bucket.get_info(name)
        if found.digest == f"SHA-256={digest}":
            return
    with _opened_file(path) as file:
        await bucket.put(name, file)


async def _fetch(key: str, markets: Collection[Market], settings: Settings, silence_s: float) -> Dataset:
    directory = settings.research_path
    async with _bucket(settings) as bucket:
        with new_folder(directory) as folder:
            await _get(bucket, f"{key}/{INDEX}", folder / INDEX, silence_s)
            dataset = _index_of(key, folder / INDEX)
            for each in _missing(dataset, markets, directory):
                path = folder / each.file
                await _get(bucket, f"{key}/{each.file}", path, silence_s)
                if _sha256(path) != each.sha256:
                    raise DatasetError(
                        f"{key}/{each.file} in NATS' bucket {BUCKET} is not what its index says: upload the recording again"
                    )
            publish(folder, directory, dataset)
            return dataset


def _index_of(key: str, path: Path) -> Dataset:
    """Raises DatasetError: what was downloaded is another object."""
    with suppress(DatasetError):
        dataset = read_index_file(path)
        if dataset.key == key:
            return dataset
    raise DatasetError(f"{key}/{INDEX} in NATS' bucket {BUCKET} is not the index: upload the recording again")


def _sha256(path: Path) -> str:
    """Raises DatasetError."""
    with _opened_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _opened_file(path: Path) -> BufferedReader:
    """Raises DatasetError."""
    try:
        return path.open("rb")
    except OSError as error:
        raise DatasetError(f"can't read {path}: {error.strerror or error}") from None


class _TimedWriter:
    """Writes into a file; each write puts off the end of the wait for the next."""

    def __init__(self, file: BinaryIO, limit: asyncio.Timeout, silence_s: float) -> None:
        self._file, self._limit, self._silence_s = file, limit, silence_s
        self._loop = asyncio.get_running_loop()

    def write(self, data: bytes) -> int:
        """Called by nats-py in a thread. Raises OSError."""
        self._loop.call_soon_threadsafe(self._put_off)
        return self._file.write(data)

    def _put_off(self) -> None:
        with suppress(RuntimeError):  # It is over.
            self._limit.reschedule(self._loop.time() + self._silence_s)


async def _get(bucket: ObjectStore, name: str, path: Path, silence_s: float) -> None:
    """Write an object into a file. Raises DatasetError, OSError."""
    try:
        with path.open("wb") as file:
            # Of an object whose chunks are gone, nats-py waits for the first one for ever.
            async with asyncio.timeout(silence_s) as limit:
                writer = _TimedWriter(file, limit, silence_s)
                await bucket.get(name, writeinto=writer)  # type: ignore[arg-type]  # it calls only write
    except NotFoundError:
        raise DatasetError(f"{name} is not in NATS' bucket {BUCKET}: upload the recording again") from None
    except TimeoutError:
        raise DatasetError(f"{name} in NATS' bucket {BUCKET} does not come: NATS is slow, or has lost it") from None


@asynccontextmanager
async def _bucket(settings: Settings) -> AsyncIterator[ObjectStore]:
    """Yield the bucket, made if it is missing. Raises DatasetError, ServerUnavailableError, SettingsError."""
    nats = await connect_once(settings, "research")
    try:
        yield await _opened(nats.jetstream())
    except ServiceUnavailableError:
        raise DatasetError("this NATS server has no JetStream, so recordings can't be uploaded to workers") from None
    except APIError as error:
        raise DatasetError(f"NATS' bucket {BUCKET} can't be used: {error.description or error}") from None
    except (NatsError, TimeoutError, ConnectionError) as error:
        why = str(error) or type(error).__name__
        raise ServerUnavailableError(f"NATS at {mask(settings.nats_url)} (NATS_URL) went silent: {why}") from None
    finally:
        await nats.close()


async def _opened(jetstream: JetStreamContext) -> ObjectStore:
    try:
        return await jetstream.object_store(BUCKET)
    except NotFoundError:
        return await jetstream.create_object_store(BUCKET)
