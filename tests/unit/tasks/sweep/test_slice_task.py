"""What a slice's task may carry."""

from pathlib import Path

import msgspec
import pytest

from tasks.sweep import slice_task
from tasks.sweep.datasets import dataset as datasets
from tasks.sweep.slice_run import BlockState
from tasks.sweep.slice_task import SliceReply, SliceRequest
from tests.support.files import sweeps

ELSEWHERE = ["../elsewhere", "/etc", "", "a/b", "..", "a\n"]


@pytest.mark.parametrize("key", ELSEWHERE)
def test_a_task_names_no_folder_elsewhere(tmp_path: Path, key: str):
    (block,) = sweeps.blocks([sweeps.dataset(tmp_path, sweeps.prices())], sweeps.moods("calm"))
    (source,) = block.part.sources
    part = msgspec.structs.replace(block.part, sources=(msgspec.structs.replace(source, dataset=key),))
    packed = slice_task.pack(SliceRequest(msgspec.structs.replace(block, part=part), BlockState(), 0.5))
    with pytest.raises(msgspec.ValidationError):
        slice_task.unpack_request(packed)


@pytest.mark.parametrize("name", [*ELSEWHERE, "../../x.events"])
def test_an_index_names_no_file_elsewhere(tmp_path: Path, name: str):
    made = sweeps.dataset(tmp_path, sweeps.prices())
    files = [msgspec.structs.replace(each, file=name) for each in made.files]
    with pytest.raises(msgspec.ValidationError):
        datasets.unpack_index(datasets.pack_index(msgspec.structs.replace(made, files=files)))


def test_a_summary_says_what_was_done_or_why_nothing_was(tmp_path: Path):
    (block,) = sweeps.blocks([sweeps.dataset(tmp_path, sweeps.prices())], sweeps.moods("calm", "raise"))
    request = SliceRequest(block, BlockState(events=10), 0.5)
    done = {"strategy": sweeps.MOODS, "events": 30, "sets": 2}
    assert slice_task.summary(request, SliceReply(BlockState(events=40))) == done
    refused = {"strategy": sweeps.MOODS, "events": 0, "sets": 2, "refusal": "no dataset"}
    assert slice_task.summary(request, SliceReply(refusal="no dataset")) == refused
    assert slice_task.description(request) == f"{sweeps.MOODS}: 2 sets, spot BTCUSDT of trades.jsonl, from event 10"
