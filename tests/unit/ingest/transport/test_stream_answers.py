"""What an answer of JetStream says of a message."""

import pytest

from ingest.transport import stream_answers
from ingest.transport.stream_answers import TOO_LARGE, Acknowledged, Refused

FULL = b'{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"},"stream":"S","seq":0}'
LARGE = b'{"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"}}'


@pytest.mark.parametrize(
    ("data", "headers", "said"),
    [
        (b'{"stream":"S","seq":7}', None, Acknowledged(7)),
        (b'{"stream":"S","seq":7,"duplicate":true}', None, Acknowledged(7)),
        (FULL, None, Refused("maximum messages exceeded", 10077)),
        (LARGE, None, Refused("message size exceeds maximum allowed", TOO_LARGE, is_permanent=True)),
        (b"", b"NATS/1.0 503\r\n\r\n", Refused("no stream takes it")),
        (b"", None, Refused("an empty answer")),
        (b"hello", None, None),
        (b"[1]", None, None),
    ],
)
def test_an_answer_says_whether_the_stream_has_the_message(data: bytes, headers: bytes | None, said: object):
    assert stream_answers.read(data, headers) == said
