"""The calls of docs/api.md, run by bash and curl as they stand there."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from compose.local.processes import ROOT
from tests.support.needs import missing
from tests.support.servers.api import TOKEN
from tests.support.stacks.page_commands import blocks
from tests.support.waiting import HANGS_S

_PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


class Curled(NamedTuple):
    """The answer to a call."""

    call: str
    status: int
    json: Any


def operators_day() -> list[str]:
    """Return the calls of an operator's day, a line each."""
    day = _PAGE.partition("## An operator's day")[2].partition("\n## ")[0]
    _, *later = [block for block in blocks(day) if not block[0].startswith("{")]
    return re.sub(r"\\\n +", " ", "\n".join(line for block in later for line in block)).splitlines()


def run(port: int, calls: Sequence[str], ids: Mapping[str, str] | None = None) -> list[Curled]:
    """Run calls one after the other, with these ids in place of those on the page."""
    if not shutil.which("curl"):
        missing("there is no curl here")
    for on_page, real in (ids or {}).items():
        calls = [call.replace(on_page, real) for call in calls]
    address, define = next(blocks(_PAGE.partition("## An operator's day")[2]))
    define = define.replace("curl -sS", r"curl -sS --write-out '\n%{http_code}\n'")
    done = subprocess.run(
        ["bash", "-ec", "\n".join([address.replace("8080", str(port)), define, *calls])],  # noqa: S607 whatever the reader's bash is
        env=os.environ | {"TOKEN": TOKEN},
        capture_output=True,
        text=True,
        check=True,
        timeout=HANGS_S,
    )
    lines = done.stdout.splitlines()
    return [
        Curled(call, int(status), json.loads(text))
        for call, text, status in zip(calls, lines[::2], lines[1::2], strict=True)
    ]
