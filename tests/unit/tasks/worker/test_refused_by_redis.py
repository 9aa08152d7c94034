"""What a worker says of tasks that Redis refuses to commit."""

import pytest
import redis
from celery.exceptions import Ignore
from structlog.testing import capture_logs

from tasks.worker.refused_by_redis import ignored_if_refused


def refuse(why: str) -> list[str]:
    """Have Redis refuse a task; return what is logged of it."""
    with capture_logs() as logs, pytest.raises(Ignore), ignored_if_refused():
        raise redis.ResponseError(why)
    assert {line["log_level"] for line in logs} <= {"error"}
    return [line["why"] for line in logs]


def test_a_refused_task_has_no_result_and_a_new_reason_is_logged_at_once():
    assert refuse("NOPERM first") == ["NOPERM first"]
    assert refuse("NOPERM first") == []
    assert refuse("NOPERM second") == ["NOPERM second"]


@pytest.mark.parametrize("error", [redis.ConnectionError("gone"), ValueError("ours")])
def test_other_errors_pass(error: Exception):
    with pytest.raises(type(error)), ignored_if_refused():
        raise error
