"""Every command of the tutorials runs as it stands there, one after the other, and prints what the page shows."""

from pathlib import Path

import pytest

from compose.local.processes import ROOT
from compose.local.servers import free_port
from tests.support.stacks.page_commands import Clone
from tests.support.stacks.page_session import pieces, reading

TUTORIALS = ROOT / "docs" / "tutorials"
NAMES = ("first-signal", "own-strategy", "from-history-to-live", "running-it-for-years")


def text(name: str) -> str:
    return (TUTORIALS / f"{name}.md").read_text(encoding="utf-8")


def test_each_tutorial_is_here():
    assert {path.stem for path in TUTORIALS.glob("*.md")} == {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_all_that_a_tutorial_has_in_blocks_is_commands_or_files(name: str):
    page = text(name)
    played = [*pieces(page)]
    assert len([piece for piece in played if piece.block]) > 5
    # A block of code without the name of its file is nothing that a reader could act on.
    assert page.count("\n```python\n") + page.count("\n```toml\n") == len([piece for piece in played if piece.name])


@pytest.mark.ci
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", NAMES)
def test_a_tutorial_works_word_by_word(name: str, tmp_path: Path):
    folder, home = tmp_path / "clone", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    environment = {
        "HOME": str(home),
        # What the page does not start is not there.
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
        "NATS_URL": f"nats://127.0.0.1:{free_port()}",
    }
    with reading(Clone(folder), environment) as reader:
        reader.play(text(name))
