"""What the processes of a local stack are told."""

import pytest

from compose.local.stack import inherited


@pytest.mark.parametrize(
    "name", ["NATS_URL", "REDIS_URL", "NATS_PASSWORD", "REDIS_SENTINEL_PASSWORD_FILE", "SIGNAL_SUBJECT"]
)
def test_what_would_lead_processes_elsewhere_is_not_inherited(name: str):
    assert inherited({name: "x", "PATH": "/bin"}) == {"PATH": "/bin"}


def test_the_token_of_the_api_is_inherited():
    given = {"API_TOKEN": "t", "API_TOKEN_FILE": "f"}
    assert inherited(given) == given
