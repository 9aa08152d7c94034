"""What an answer of JetStream says of streams."""

from typing import Any

import msgspec
import pytest

from ingest.transport.stream_state import StreamState, read_info, read_list


def listed(*streams: dict[str, Any], **more: Any) -> bytes:
    return msgspec.json.encode({"streams": streams, "total": len(streams), **more})


def stream(state: dict[str, int] | None = None, cluster: dict[str, Any] | None = None, **config: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"config": {"name": "S", "subjects": ["signals.>"], **config}, "state": state or {}}
    return told | ({"cluster": cluster} if cluster is not None else {})


@pytest.mark.parametrize(
    ("told", "trouble"),
    [
        (stream(), ""),
        (stream(cluster={"leader": "n1"}), ""),
        (stream(cluster={"name": "c"}), "has no leader: too few of its servers run"),
        (stream(sealed=True), "is sealed"),
        (stream({"messages": 9}, discard="new", max_msgs=10), ""),
        (stream({"messages": 10}, discard="new", max_msgs=10), "is full and refuses what is new (discard new)"),
        (stream({"bytes": 10}, discard="new", max_bytes=10), "is full and refuses what is new (discard new)"),
        (stream({"messages": 10}, discard="old", max_msgs=10), ""),
    ],
)
def test_a_stream_says_why_it_takes_nothing(told: dict[str, Any], trouble: str):
    assert read_list(listed(told)) == [StreamState("S", ["signals.>"], trouble)]


def test_a_stream_without_subjects_takes_none():
    told = stream()
    del told["config"]["subjects"]
    assert read_list(listed(told)) == [StreamState("S", ())]


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (listed(), []),
        (b'{"streams":null}', []),
        (b'{"error":{"code":503,"err_code":10039,"description":"not enabled for account"}}', None),
        (b'{"error":{"code":503,"err_code":10076,"description":"not enabled"}}', None),
        (b'{"error":{"code":503,"err_code":10008,"description":"temporarily unavailable"}}', "temporarily unavailable"),
        (listed(missing=["S", "T"]), "no server answers for S, T"),
    ],
)
def test_an_answer_without_streams_says_why(answer: bytes, found: object):
    assert read_list(answer) == found


def test_what_is_no_answer_tells_nothing():
    assert "can't be read" in str(read_list(b"hello"))


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (msgspec.json.encode(stream(sealed=True)), StreamState("S", ["signals.>"], "is sealed")),
        (b'{"error":{"code":404,"err_code":10059,"description":"stream not found"}}', StreamState("", (), "is gone")),
        (b'{"error":{"code":503,"err_code":10118,"description":"stream is offline"}}', "stream is offline"),
        (b"{}", "an answer without a stream"),
    ],
)
def test_the_answer_about_one_stream_says_the_same(answer: bytes, found: object):
    assert read_info(answer) == found


def test_an_answer_names_the_servers_whose_replica_is_offline():
    replicas = [{"name": "n3", "offline": True}, {"name": "n2", "current": True}, {"name": "n1", "offline": True}]
    told = stream(cluster={"leader": "n0", "replicas": replicas})
    assert read_info(msgspec.json.encode(told)) == StreamState("S", ["signals.>"], offline=("n1", "n3"))
