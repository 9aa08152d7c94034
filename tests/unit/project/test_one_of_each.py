"""What there is once in the code is not written a second time."""

import re

import pytest

from compose.local.processes import ROOT

FILES = [file for top in ("tasks", "ingest", "compose") for file in (ROOT / top).rglob("*.py")]

_REDIS_FAILED = (
    r"\(\s*(redis\.(RedisError|ConnectionError|TimeoutError)|RedisError),"
    r"|(except|suppress\()\s*\(?(redis\.)?(exceptions\.)?RedisError"
)


@pytest.mark.parametrize(
    ("pattern", "home"),
    [
        (_REDIS_FAILED, "tasks/clients/redis_client.py"),
        (r"help_option_names", "tasks/cli/command_line.py"),
        (r'as_json: Annotated|Option\("--json", help="(JSON|One)', "tasks/cli/command_line.py"),
        (r"strftime|(?<!from)isoformat\(|\{[^{}|\"]*:%[A-Za-z]", "tasks/protocol/utc_time.py"),
        (r"\.(xrange|xrevrange)\([^)]*\b(start|end)\b", "tasks/ledger/pager.py"),
    ],
    ids=["what a failing Redis raises", "-h", "--json", "a time in UTC", "the pages of a stream"],
)
def test_there_is_one_of_each(pattern: str, home: str):
    found = [str(file.relative_to(ROOT)) for file in FILES if re.search(pattern, file.read_text())]
    assert found == [home]
