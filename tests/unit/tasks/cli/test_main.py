"""What a command says when it fails: one line, and exit status 1."""

from typing import Any, NoReturn

import pytest
import redis

from tasks.cli.main import main
from tasks.errors import LedgerError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (LedgerError("no such pool"), "error: no such pool\n"),
        (redis.ConnectionError("refused"), "error: Redis at redis://***@server:7/1: refused\n"),
        (OSError(28, "No space left on device", "/x"), "error: [Errno 28] No space left on device: '/x'\n"),
    ],
    ids=["ours", "redis", "file"],
)
def test_a_failure_is_one_line_that_names_redis_where_redis_failed(
    error: Exception, line: str, empty_environment: None, capsys: Any, monkeypatch: pytest.MonkeyPatch
):
    def command() -> NoReturn:
        raise error

    monkeypatch.setenv("REDIS_URL", "redis://:secret@server:7/1")
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 1
    assert capsys.readouterr().err == line
