"""Every command of docs/research/tutorial.md runs as it stands there, one after the other, and prints what the page shows."""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from compose.local.processes import ROOT
from compose.local.servers import free_port
from compose.local.stack import Plan, Stack
from tasks.cli.sweep.execution import live_processes
from tests.support.stacks.page_commands import Clone, Started, service_output
from tests.support.stacks.pipeline import running
from tests.support.waiting import wait_for

#: The first one runs most of the page before it begins.
pytestmark = pytest.mark.timeout(600)
PAGE = (ROOT / "docs" / "research" / "tutorial.md").read_text(encoding="utf-8")
SECTIONS = re.split(r"\n## \d+\. .+\n", PAGE)
#: A file with its name before it, what the command before it prints, or a command.
PIECE = re.compile(
    r"`(?P<name>\w+\.toml)`:\n\n```toml\n(?P<file>.*?)```|```text\n(?P<text>.*?)```|^    (?P<command>.+?)$",
    re.MULTILINE | re.DOTALL,
)


class PageCommand(NamedTuple):
    """A command of the page, and what the page says that it prints."""

    command: str
    shown: str


def steps(page: str, folder: Path) -> list[PageCommand]:
    """Return the commands of a part of the page, and write its files."""
    found: list[PageCommand] = []
    for piece in PIECE.finditer(page):
        if piece["name"]:
            (folder / piece["name"]).write_text(piece["file"])
        elif piece["text"]:
            found[-1] = PageCommand(found[-1].command, piece["text"])
        else:
            found.append(PageCommand(piece["command"], ""))
    return found


def run(step: PageCommand, place: Clone, environment: Mapping[str, str]) -> None:
    with place.started(step.command, **environment) as started:
        started.end(step.command, service_output(step.command))
        assert step.shown in printed(started), printed(started)


def printed(started: Started) -> str:
    return re.sub(r" +$", "", started.output, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return the folder after the part of the page that needs no servers."""
    clone = Clone(tmp_path_factory.mktemp("clone"))
    # Nobody listens there.
    alone = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "NATS_URL": f"nats://127.0.0.1:{free_port()}"}
    for step in steps("".join(SECTIONS[:6]), clone.folder):
        run(step, clone, alone)
    return clone


@pytest.fixture
def live(place: Clone) -> Iterator[Stack]:
    """A pipeline with the shadow of the page."""
    [made] = [step for step in steps(SECTIONS[7], place.folder) if step.command.startswith("cat ")]
    run(made, place, {})
    with running(Plan(1, "solo", environment={"STRATEGIES_FILE": str(place.folder / "live.toml")})) as stack:
        yield stack


def test_the_research_of_the_tutorial_prints_what_the_page_shows(place: Clone):
    shown = [step.shown for step in steps("".join(SECTIONS[:6]), place.folder)]
    assert len(list(filter(None, shown))) == len(shown) - 1
    assert (place.folder / "velocity.html").stat().st_size > 100_000


def test_the_tutorial_ends_with_the_set_in_force(place: Clone, live: Stack):
    environment = {name: live.environment[name] for name in ("NAMESPACE", "NATS_URL", "REDIS_URL", "HTTP_PORT")}
    figures = next(step.shown for step in steps(SECTIONS[4], place.folder) if "--html" in step.command)
    worker, *sweeps = steps(SECTIONS[6], place.folder)
    with ExitStack() as stack:
        started = stack.enter_context(place.started(worker.command, **environment, WORKER_HTTP_PORT="0"))
        started.shows(" ready")
        wait_for(lambda: live_processes(live.settings)[0] == 1, "the worker to be known")
        for step in sweeps:
            run(PageCommand(step.command, figures), place, environment)
        started.end(worker.command, " ready")
    for step in steps(SECTIONS[7], place.folder):
        run(step, place, environment)
