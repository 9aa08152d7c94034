"""Datasets by way of a real NATS server's object store."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest
from nats.js.object_store import ObjectStore

from compose.local.processes import Instance
from compose.local.servers import free_port, start_nats
from tasks.errors import DatasetError, ServerUnavailableError
from tasks.settings import Settings
from tasks.sweep.datasets import upload as dataset_upload
from tasks.sweep.datasets.dataset import Dataset
from tasks.sweep.datasets.folder import INDEX, dataset_path, whole_dataset
from tasks.sweep.datasets.reader import EventStream
from tasks.sweep.datasets.upload import fetch, upload
from tasks.sweep.datasets.writer import prepare
from tests.support.events import trade
from tests.support.files.datasets import RECORDING, read_events, recorded, sources


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Instance("objects") as instance:
        yield start_nats(instance)[1]


@pytest.fixture
def command(url: str, tmp_path: Path) -> Settings:
    return Settings(nats_url=url, research_dir=str(tmp_path / "command"))


@pytest.fixture
def worker(url: str, tmp_path: Path) -> Settings:
    return Settings(nats_url=url, research_dir=str(tmp_path / "worker"))


def small(command: Settings, name: str) -> Dataset:
    path = Path(command.research_dir).with_name(f"{name}.jsonl")
    return prepare(recorded(path, [trade(symbol="A"), trade(symbol="B")]), directory=command.research_path)


def stored(url: str, dataset: Dataset) -> dict[str, str | None]:
    """Return which object of NATS each file of a dataset is: put again, it is another."""

    async def ask() -> dict[str, str | None]:
        async with await nats.connect(url) as client:
            bucket = await client.jetstream().object_store(dataset_upload.BUCKET)
            names = [*(each.file for each in dataset.files), INDEX]
            return {name: (await bucket.get_info(f"{dataset.key}/{name}")).nuid for name in names}

    return asyncio.run(ask())


def change(url: str, what: str, name: str) -> None:
    async def ask(bucket: ObjectStore) -> None:
        if what == "delete":
            await bucket.delete(name)
        elif what == "lose its chunks":
            info = await bucket.get_info(name)
            await bucket._js.purge_stream(f"OBJ_{dataset_upload.BUCKET}", subject=f"$O.research.C.{info.nuid}")
        else:
            await bucket.put(name, b"something else")

    async def connected() -> None:
        async with await nats.connect(url) as client:
            await ask(await client.jetstream().object_store(dataset_upload.BUCKET))

    asyncio.run(connected())


def test_a_worker_reads_the_events_that_the_command_uploaded(command, worker):
    dataset = prepare(RECORDING, directory=command.research_path)
    told: list[int] = []
    upload(dataset, command, told.append)
    assert sum(told) == sum(each.size for each in dataset.files)
    assert fetch(dataset.key, (), worker) == dataset
    with EventStream(worker.research_path, sources(dataset)) as stream:
        assert list(stream) == read_events(RECORDING)


def test_only_the_files_that_are_needed_come_and_each_once(command, worker):
    dataset = small(command, "needed")
    one, other = (dataset_path(worker.research_path, dataset.key) / each.file for each in dataset.files)
    upload(dataset, command)
    assert fetch(dataset.key, [("spot", "A")], worker) == dataset
    assert (one.exists(), other.exists()) == (True, False)
    before = one.stat().st_ino
    assert fetch(dataset.key, [("spot", "B")], worker) == dataset
    assert (one.stat().st_ino, other.exists()) == (before, True)
    assert whole_dataset(worker.research_path, dataset.key) == dataset
    nowhere = worker.model_copy(update={"nats_url": "nats://127.0.0.1:1"})
    assert fetch(dataset.key, (), nowhere) == dataset


def test_what_is_in_the_object_store_is_not_uploaded_again(command, url):
    dataset = small(command, "twice")
    upload(dataset, command)
    first = stored(url, dataset)
    upload(dataset, command)
    assert stored(url, dataset) == first
    change(url, "replace", f"{dataset.key}/{dataset.files[0].file}")
    upload(dataset, command)
    second = stored(url, dataset)
    assert [name for name in second if second[name] != first[name]] == [dataset.files[0].file]


@pytest.mark.parametrize("what", ["delete", "replace"])
@pytest.mark.parametrize("file", ["index", "events"])
def test_an_object_that_is_gone_or_another_is_named(command, worker, url, what, file):
    dataset = small(command, f"{what} {file}")
    upload(dataset, command)
    name = f"{dataset.key}/{INDEX if file == 'index' else dataset.files[0].file}"
    change(url, what, name)
    with pytest.raises(DatasetError) as refused:
        fetch(dataset.key, (), worker)
    said = {
        ("delete", "index"): f"{name} is not in NATS' bucket research: upload the recording again",
        ("delete", "events"): f"{name} is not in NATS' bucket research: upload the recording again",
        ("replace", "index"): f"{name} in NATS' bucket research is not the index: upload the recording again",
        (
            "replace",
            "events",
        ): f"{name} in NATS' bucket research is not what its index says: upload the recording again",
    }
    assert str(refused.value) == said[what, file]
    assert list(worker.research_path.glob("data/*")) == []
    upload(dataset, command)
    assert fetch(dataset.key, (), worker) == dataset


def test_an_object_whose_content_is_lost_is_not_waited_for(command, worker, url):
    dataset = small(command, "lost")
    upload(dataset, command)
    change(url, "lose its chunks", f"{dataset.key}/{INDEX}")
    with pytest.raises(
        DatasetError, match=f"^{dataset.key}/{INDEX} in NATS' bucket research does not come: NATS is slow"
    ):
        fetch(dataset.key, (), worker, silence_s=0.5)


def test_a_worker_keeps_its_bound(command, worker):
    bound = worker.model_copy(update={"research_cache_mib": 1})
    first, second = small(command, "first"), small(command, "second")
    upload(first, command)
    upload(second, command)
    fetch(first.key, (), bound)
    (dataset_path(bound.research_path, first.key) / "more").write_bytes(bytes(2**20))
    fetch(second.key, (), bound)
    assert [path.name for path in bound.research_path.glob("data/*")] == [second.key]


def test_a_server_without_jetstream_or_none_at_all_is_one_line(command, worker):
    dataset = small(command, "lines")
    with Instance("plain") as instance:
        plain = {"nats_url": start_nats(instance, jetstream=False)[1]}
        with pytest.raises(DatasetError, match=r"^this NATS server has no JetStream, so recordings can't be uploaded"):
            upload(dataset, command.model_copy(update=plain))
        with pytest.raises(DatasetError, match=r"^this NATS server has no JetStream, so recordings can't be uploaded"):
            fetch(dataset.key, (), worker.model_copy(update=plain))
    gone = {"nats_url": f"nats://127.0.0.1:{free_port()}"}
    with pytest.raises(ServerUnavailableError, match=r"^NATS does not answer at "):
        upload(dataset, command.model_copy(update=gone))
    with pytest.raises(ServerUnavailableError, match=r"^NATS does not answer at "):
        fetch(dataset.key, (), worker.model_copy(update=gone))


def test_a_folder_that_cannot_be_written_is_named(command, worker, tmp_path):
    dataset = small(command, "folder")
    upload(dataset, command)
    (tmp_path / "worker").write_text("a file")
    with pytest.raises(DatasetError, match=r"can't write to .*worker \(RESEARCH_DIR\): Not a directory"):
        fetch(dataset.key, (), worker)


def test_a_dataset_that_is_not_there_is_not_uploaded(command):
    dataset = small(command, "removed")
    shutil.rmtree(command.research_path)
    with pytest.raises(DatasetError, match=r"can't read .*: No such file or directory"):
        upload(dataset, command)
