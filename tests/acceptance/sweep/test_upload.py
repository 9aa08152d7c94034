"""Workers that see no folder of the command's."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest

from compose.local.processes import Instance
from compose.local.servers import start_nats
from tasks.sweep.datasets.upload import BUCKET
from tests.support.stacks.sweeping import Sweeps

pytestmark = pytest.mark.ci


@pytest.fixture
def sweeps(tmp_path: Path) -> Iterator[Sweeps]:
    with Instance("sweeps") as instance:
        _, url = start_nats(instance)
        yield Sweeps(instance, tmp_path, NATS_URL=url)


def objects(url: str) -> dict[str, str | None]:
    """Return which object of NATS each file is: put again, it is another."""

    async def ask() -> dict[str, str | None]:
        async with await nats.connect(url) as client:
            bucket = await client.jetstream().object_store(BUCKET)
            return {str(each.name): each.nuid for each in await bucket.list()}

    return asyncio.run(ask())


def test_it_is_said_that_a_worker_has_not_the_recordings(sweeps: Sweeps, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    with sweeps.workers(1, RESEARCH_DIR=str(elsewhere)):
        done = sweeps.run()
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"error: worker research-0@test does not have the recordings: it looks in {elsewhere}, this command writes to "
        f"{tmp_path}/research (RESEARCH_DIR); let both be one folder, or add --upload"
    )
    assert not sweeps.kept(), "nothing had begun"


def test_workers_fetch_what_the_command_uploads_once(sweeps: Sweeps, tmp_path: Path):
    """In both pools; the second time there is nothing to send or to fetch."""
    expected: Any = sweeps.rows("--local", "--jobs", "1")
    folders = [tmp_path / "prefork", tmp_path / "solo"]
    with (
        sweeps.workers(1, RESEARCH_DIR=str(folders[0])),
        sweeps.workers(1, "--pool", "solo", name="alone", RESEARCH_DIR=str(folders[1])),
    ):
        done = sweeps.run("--upload")
        assert "on 2 workers with 3 processes" in done.stderr
        assert json.loads(done.stdout)["rows"] == expected
        sent = objects(sweeps.environment["NATS_URL"])
        assert len(sent) > 6
        fetched = {path: path.stat().st_ino for folder in folders for path in folder.glob("data/*/*.events")}
        assert {path.parts[-4] for path in fetched} == {"prefork", "solo"}
        assert sweeps.rows("--upload") == expected
    assert objects(sweeps.environment["NATS_URL"]) == sent
    assert {path: path.stat().st_ino for path in fetched} == fetched
