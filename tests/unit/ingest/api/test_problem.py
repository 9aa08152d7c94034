"""Problems of the HTTP API, as their callers read them."""

import pytest

from ingest.api.problem import ApiError, problem_of
from tasks import invocation
from tasks.errors import NotFoundError


def test_commands_in_a_problem_are_told_as_they_are_called_here(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(invocation.VARIABLE, "realtime-strategies")
    found = problem_of(NotFoundError("no such version; `./run tasks strategies history` lists them"))
    assert isinstance(found, ApiError)
    assert found.facts()["detail"] == "no such version; `realtime-strategies tasks strategies history` lists them"
