"""The commands of a page, and a folder as a fresh clone is, in which they run as they stand there."""

import hashlib
import itertools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compose.local.processes import ROOT
from compose.local.stack import Stack
from tests.support.waiting import wait_for

#: What those print that run until Ctrl-C, once they do what they are for; looked for in this order.
SERVICES = {
    r"(\w+=\S+ )?(python -m|\./run) ingest$": "standing by",
    r"(python -m|\./run) ingest binance ": "going live",
    r"(python -m|\./run) ingest record ": '"recording"',
    r"(\./run )?celery .* worker ": " ready",
    r"(\./run )?celery .* flower": "Visit me at",
    r"(python -m|\./run) tasks signals --follow --json": '"strategy":',
    r"(python -m|\./run) tasks deliver stdout ": '"delivering"',
    r"python consume\.py": "USDT ",
}
#: Their ends at Ctrl-C: in order, by the signal, or what a shell makes of that; Celery's programs say 1 as well.
ENDED = {0, -signal.SIGINT, 128 + signal.SIGINT}
ENDED_CELERY = ENDED | {1}


def blocks(page: str) -> Iterator[list[str]]:
    """Yield the lines of every block of commands: indented, and not the output that a comment announces."""
    prose = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    for before, block in re.findall(r"(?<=\n\n)([^\n]*\n\n)?((?:    [^\n]*\n|\n(?=    ))+)", prose):
        if not before.startswith("<!-- from"):
            yield [line[4:].rstrip() for line in block.splitlines() if line.strip()]


def without_comment(line: str) -> str:
    return re.sub(r"\s+#( .*)?$", "", line).strip()


def in_prose(page: str) -> list[str]:
    """Return the commands that stand in a sentence, whole."""
    found = re.findall(r"`((?:\./run|python -m|docker compose) [^`]*)`", re.sub(r"\s*\n\s*", " ", page))
    return [command for command in found if not command.endswith(" ...")]


def addresses(stack: Stack) -> dict[str, str]:
    """Return the environment that leads commands to a pipeline."""
    return {name: stack.environment[name] for name in ("NAMESPACE", "NATS_URL", "REDIS_URL", "HTTP_PORT")}


def service_output(command: str) -> str | None:
    """Return what a command prints once it does what it is for, if it runs until Ctrl-C."""
    return next((says for pattern, says in SERVICES.items() if re.match(pattern, command)), None)


class Clone:
    """A folder as a fresh clone is, set up: links to all that is in ours, and a `.venv` that calls our Python."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._numbers = folder, itertools.count()
        for entry in ROOT.iterdir():
            if not entry.name.startswith(".") or entry.name in {".env.example", ".ci"}:
                (folder / entry.name).symlink_to(entry)
        programs = folder / ".venv" / "bin"
        programs.mkdir(parents=True)
        python = programs / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        (programs / "activate").write_text(f'PATH="{path}"\n')
        for name in ("demo", "dev", "bench", "docs"):
            content = (ROOT / f"requirements/{name}.txt").read_bytes()
            stamp = f"{hashlib.sha256(content).hexdigest()} {sys.implementation.cache_tag}\n"
            (programs.parent / f"installed-{name}").write_text(stamp)
        self.environment = os.environ | {
            "PATH": path,
            "LOG_FORMAT": "json",
            "PYTHONUNBUFFERED": "1",
            "RESEARCH_DIR": str(folder / "research"),
        }

    @contextmanager
    def started(self, command: str, **more: str) -> Iterator["Started"]:
        # Several may run at once.
        with (self.folder / f"output-{next(self._numbers)}.txt").open("w+b") as output:
            process = subprocess.Popen(
                ["bash", "-c", command],  # noqa: S607 whatever the reader's bash is
                cwd=self.folder,
                env=self.environment | more,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            started = Started(process, output.name)
            try:
                yield started
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


class Started:
    """A command that runs."""

    def __init__(self, process: "subprocess.Popen[bytes]", file: str) -> None:
        self.process, self.file = process, Path(file)

    @property
    def output(self) -> str:
        return self.file.read_text(encoding="utf-8", errors="replace")

    def shows(self, text: str) -> None:
        def seen() -> bool:
            running = self.process.poll() is None
            assert text in self.output or running, f"it ended without {text!r}: {self.output}"
            return text in self.output

        wait_for(seen, what=text)

    def ends(self) -> int:
        return self.process.wait(120)

    def press_ctrl_c(self) -> None:
        """Send what every process in the foreground gets."""
        os.killpg(self.process.pid, signal.SIGINT)

    def interrupt(self) -> int:
        self.press_ctrl_c()
        return self.ends()

    def end(self, command: str, says: str | None) -> None:
        """Wait for its end, or, where it runs until Ctrl-C, for what it says, and end it; it has to end well."""
        if says:
            self.shows(says)
            assert self.interrupt() in (ENDED_CELERY if "celery -A" in command else ENDED), self.output
        else:
            assert self.ends() == 0, self.output
        assert "Traceback" not in self.output
