"""What is read of a message's bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.msg import Msg

from tasks.clients.nats_message import MessageMetadata, read_headers, read_metadata


@pytest.mark.parametrize(
    ("raw", "headers"),
    [
        (b"NATS/1.0\r\na: b:c\r\nd:\r\n\r\n", {"a": "b:c", "d": ""}),
        (b"NATS/1.0 503\r\n\r\n", {"Status": "503", "Description": ""}),
        (
            b"NATS/1.0 409 Batch Completed\r\nNats-Pending-Messages: 7\r\n\r\n",
            {"Status": "409", "Description": "Batch Completed", "Nats-Pending-Messages": "7"},
        ),
        (b"NATS/1.0\r\nno header\r\n\xff: \xff\r\n\r\n", {"\ufffd": "\ufffd"}),
        (b"", {}),
    ],
)
def test_headers_are_read_by_name_and_a_status_with_them(raw: bytes, headers: dict[str, str]):
    assert read_headers(raw) == headers


@pytest.mark.parametrize("before", ["$JS.ACK.FRAMES.c", "$JS.ACK.hub.Xy12.FRAMES.c"])
@given(stored_ns=st.integers(10**18, 4 * 10**18))
def test_metadata_is_what_nats_py_reads_with_or_without_a_domain(before: str, stored_ns: int):
    reply = f"{before}.1.42.9.{stored_ns}.7{'.random' if 'hub' in before else ''}"
    theirs = Msg.Metadata._from_reply(reply)
    assert read_metadata(reply.encode()) == MessageMetadata(42, 9, int(theirs.timestamp.timestamp() * 1e6) * 1_000, 7)


@pytest.mark.parametrize(
    "reply", ["$JS.ACK.FRAMES.c", "_INBOX.somebody", "$JS.ACK.FRAMES.c.1.x.1.1.7", "a.b.c.d.e.1.1.1.1"]
)
def test_what_somebody_else_writes_has_no_metadata(reply: str):
    with pytest.raises(ValueError, match="none of a stream"):
        read_metadata(reply.encode())
