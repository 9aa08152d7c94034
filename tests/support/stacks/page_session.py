"""The commands of a page in the terminals of a reader, one after the other, with what a shell keeps between them.

A page is Markdown. Indented blocks are commands, a file stands in a fenced block after a line that ends with its name in
backquotes and a colon, and a block of text is what the command before it prints. What a test can't know is said by
comments that no reader sees:

    <!-- until Ctrl-C: "TEXT" -->  the next block runs in the background, and prints TEXT once it does what it is for
    <!-- shows: PATTERN -->        waits until a block in the background has printed that
    <!-- Ctrl-C -->                ends the newest one
    <!-- another terminal -->      a new shell, in the folder in which the page began
    <!-- fails -->                 the next block has to fail
    <!-- not compared -->          the next block of text is an example
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.support.stacks.page_commands import ENDED_CELERY, Clone, Started
from tests.support.waiting import wait_for

_PIECE = re.compile(
    r"^<!-- (?P<mark>[\w -]+?)(?:: (?P<says>.+?))? -->$"
    r"|^```text\n(?P<text>.*?)^```$"
    r"|`(?P<name>[\w.]+)`[^\n`]*:\n\n```\w+\n(?P<file>.*?)^```$"
    r"|^```.*?^```$"
    r"|(?<=\n\n)(?P<block>(?:    [^\n]*\n|\n(?=    ))+)",
    re.MULTILINE | re.DOTALL,
)
#: Keeps variables and the folder for the next block of the same terminal. A line that fails ends a block.
_SCRIPT = """set -ea
. {state}
trap '{{ export -p; printf "cd %q\\n" "$PWD"; }} >{state}' EXIT
{block}"""


class Piece(NamedTuple):
    """A part of a page that a reader acts on; what there is not is empty."""

    mark: str
    says: str
    text: str
    name: str
    file: str
    block: str


def pieces(page: str) -> Iterator[Piece]:
    """Yield the parts of a page in their order."""
    for found in _PIECE.finditer(page):
        yield Piece(*(found[name] or "" for name in Piece._fields))


def commands(block: str) -> str:
    """Return the lines of an indented block as they are typed."""
    return re.sub(r"^    ", "", block, flags=re.MULTILINE)


class PageSession:
    """A reader of a page, who does what it says."""

    def __init__(self, clone: Clone, stack: ExitStack, environment: Mapping[str, str], limit_s: float) -> None:
        """Begin in the folder of a clone, with more of an environment; a block ends within the limit."""
        self._clone, self._stack, self._environment, self._limit_s = clone, stack, environment, limit_s
        self._terminals = 0
        #: In the background, the newest last.
        self._services: list[Started] = []
        #: Whose output the page shows next.
        self._started: Started | None = None
        self._mark = Piece("", "", "", "", "", "")
        self._open_terminal()

    def play(self, page: str) -> None:
        """Do all that a page, or a part of one, says."""
        for piece in pieces(page):
            if piece.block:
                self._run(piece.block)
            elif piece.name:
                (self._folder / piece.name).write_text(piece.file, encoding="utf-8")
            elif piece.text and self._mark.mark != "not compared":
                self._compare(piece.text)
            elif piece.mark in {"shows", "Ctrl-C", "another terminal"}:
                self._do(piece)
            self._mark = piece if piece.mark else Piece("", "", "", "", "", "")

    def _do(self, piece: Piece) -> None:
        if piece.mark == "another terminal":
            self._open_terminal()
            return
        assert self._services, f"nothing runs in the background: {piece}"
        if piece.mark == "shows":
            self._started = wait_for(partial(self._which_shows, piece.says), piece.says)
        else:
            self._started = self._services.pop()
            assert self._started.interrupt() in ENDED_CELERY, self._started.output
            assert "Traceback" not in self._started.output

    def _which_shows(self, pattern: str) -> Started | None:
        return next((each for each in self._services if re.search(pattern, each.output)), None)

    def _run(self, block: str) -> None:
        script = _SCRIPT.format(state=self._state, block=commands(block))
        self._started = self._stack.enter_context(self._clone.started(script, **self._environment))
        if self._mark.mark == "until Ctrl-C":
            self._started.shows(self._mark.says.strip('"'))
            self._services.append(self._started)
            return
        status = self._started.process.wait(self._limit_s)
        assert (status != 0) == (self._mark.mark == "fails"), f"{commands(block)}{self._started.output}"
        assert self._mark.mark == "fails" or "Traceback" not in self._started.output

    def _compare(self, text: str) -> None:
        """Look for what the page shows, line by line and in its order; `...` stands for what is left out."""
        assert self._started
        printed = re.sub(r" +$", "", self._started.output, flags=re.MULTILINE)
        for part in re.split(r"^ *\.\.\.$\n?", text, flags=re.MULTILINE):
            assert part.rstrip() in printed, f"{part}\nis not in\n{printed}"

    def _open_terminal(self) -> None:
        self._terminals += 1
        self._state.write_text("", encoding="utf-8")

    @property
    def _state(self) -> Path:
        return self._clone.folder / f"terminal-{self._terminals}.sh"

    @property
    def _folder(self) -> Path:
        """Where the present terminal is."""
        found = re.findall(r"^cd (.+)$", self._state.read_text(encoding="utf-8"), re.MULTILINE)
        return Path(found[-1]) if found else self._clone.folder


@contextmanager
def reading(clone: Clone, environment: Mapping[str, str], limit_s: float = 600) -> Iterator[PageSession]:
    """Yield a reader; what runs in the background at the end is ended."""
    with ExitStack() as stack:
        yield PageSession(clone, stack, environment, limit_s)
