"""Files of any packing, of any line end, whole or not: told by what is in them."""

import bz2
import gzip
import io
import json
import lzma
import os
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import RecordingError
from tasks.history import packed, recordings
from tasks.history.input_options import InputOptions, options
from tasks.history.input_report import CountingReport
from tests.fuzz.damage import refused
from tests.support.files import writers
from tests.support.files.writers import zipped
from tests.support.needs import missing

AT_NS = 1_723_161_254_087_896_568
LINES = [
    json.dumps({"stream": f"{name}@trade", "data": {"t": number}, "received_at": AT_NS + number * 10**9}).encode()
    for number in range(300)
    for name in ("btcusdt", "ethusdt")
]
TEXT = b"".join(line + b"\n" for line in LINES)


def zstd(data: bytes) -> bytes:
    if packed.ZSTD is None:
        missing("backports.zstd is not installed")
    return packed.ZSTD.compress(data)  # type: ignore[no-any-return]


def read(path: Path, data: bytes, **chosen: object) -> list[bytes]:
    path.write_bytes(data)
    return [line.raw for line in recordings.read(path, options=InputOptions(**chosen))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "pack",
    [
        bytes,
        gzip.compress,
        lzma.compress,
        zstd,
        lambda data: zipped("it", data),
        lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
        lambda data: lzma.compress(data[:1000]) + lzma.compress(data[1000:]),
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: b"\n\r\n" + data.replace(b"\n", b"\n \n"),
        lambda data: data[:-1],
        lambda data: gzip.compress(b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n\r\n")),
    ],
    ids=[
        "plain", "gzip", "xz", "zstd", "zip", "gzip members", "xz members", "byte order mark", "CRLF", "blank lines",
        "no last line end", "gzip, mark, CRLF and blank lines",
    ],
)  # fmt: skip
def test_a_recording_is_read_however_it_is_packed_and_its_lines_end(tmp_path: Path, pack: Callable[[bytes], bytes]):
    assert read(tmp_path / "file", pack(TEXT)) == LINES


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, zstd, lambda data: zipped("it", data)])
def test_of_a_packed_file_that_is_cut_short_the_readable_lines_are_used(tmp_path: Path, pack: Callable[[bytes], bytes]):
    noisy = [line[:-1] + b', "noise": "%b"}' % os.urandom(200).hex().encode() for line in LINES]
    data = pack(b"".join(line + b"\n" for line in noisy))
    path = tmp_path / "file"
    path.write_bytes(data[: len(data) * 3 // 4])
    warnings: list[str] = []
    report = CountingReport(warnings.append)
    used = [line.raw for line in recordings.read(path, report)]
    assert len(used) > len(noisy) // 3
    assert used == noisy[: len(used)]
    assert report.is_damaged
    assert [text.partition(" after line ")[0] for text in warnings] == [f"{path} is damaged or cut short"]


def test_without_a_package_for_zstd_one_line_says_which(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"\x28\xb5\x2f\xfd")
    with (
        (tmp_path / "file").open("rb") as file,
        pytest.raises(RecordingError, match=r"a \.zst file needs Python 3\.14 or backports\.zstd: pip install"),
    ):
        packed.unpacked(file, zstd=None)


def test_a_zip_archive_comes_over_a_pipe_too(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(zipped("it", TEXT)))
    writer.start()
    report = CountingReport()
    assert [line.raw for line in recordings.read(tmp_path / "pipe", report)] == LINES
    writer.join()


def test_an_archive_of_several_files_is_refused(tmp_path: Path):
    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", b"1")
        archive.writestr("b.csv", b"2")
    with pytest.raises(RecordingError, match=r"two\.zip holds 2 files, not one: unpack it"):
        list(recordings.read(path))


@pytest.mark.parametrize("data", [b"a;b;c\n1;2;3\n", bz2.compress(TEXT), b"\0" * 100, b"%PDF-1.4\n"])
def test_a_file_of_no_known_format_is_one_clear_line(tmp_path: Path, data: bytes):
    with pytest.raises(RecordingError, match=r"file is of no known format \(.*\): it begins with") as refusal:
        read(tmp_path / "file", data)
    assert "\n" not in str(refusal.value)


def test_what_a_collector_wrote_has_its_time_of_receipt(tmp_path: Path):
    trade = {"e": "trade", "E": 1723161255343, "s": "BTCUSDT", "t": 1, "p": "1", "q": "1", "m": True}
    rows = [
        b"%d %b" % (AT_NS, json.dumps({"stream": "btcusdt@trade", "data": trade}).encode()),
        b"%d %b" % (AT_NS // 1000, json.dumps(trade).encode()),
    ]
    path = tmp_path / "btcusdt_20240808.gz"
    path.write_bytes(gzip.compress(b"\n".join(rows)))
    found = list(recordings.read(path))
    assert [line.stream for line in found] == ["btcusdt@trade", "btcusdt@trade"]
    assert [json.loads(line.raw)["received_at"] for line in found] == [AT_NS, AT_NS // 1000 * 1000]
    assert [line.received_at_ns for line in found] == [AT_NS, AT_NS // 1000 * 1000]


def test_a_bad_line_of_a_collector_is_refused_and_the_rest_is_used(tmp_path: Path):
    good = b'%d {"stream":"a@trade","data":{}}' % AT_NS
    path = tmp_path / "file"
    path.write_bytes(b"\n".join([good, b"nonsense", b"5 {}", b"%d []" % AT_NS, b"%d {" % AT_NS, good, b""]))
    report = CountingReport()
    assert len(list(recordings.read(path, report))) == 2
    assert report.refused == {"not_collected": 2, "not_an_envelope": 1, "cut": 1}


def test_lines_are_cut_by_time_and_symbol(tmp_path: Path):
    second = 1_723_161_254
    chosen = options("ETHUSDT", "", str(second + 10), "2024-08-08T23:54:44")
    used = read(tmp_path / "file", TEXT, **chosen._asdict())
    assert [json.loads(line)["data"]["t"] for line in used] == list(range(10, 30))
    assert {json.loads(line)["stream"] for line in used} == {"ethusdt@trade"}


def test_a_frame_without_a_stream_says_its_symbol_itself(tmp_path: Path):
    rows = [
        b'{"s":"ETHUSDT","E":1723161255343}',
        b'{"data":{"s":"ethusdt"},"received_at":1723161255343}',
        b'{"E":1723161255343}',
    ]
    assert read(tmp_path / "file", b"\n".join(rows), symbols=frozenset({"ETHUSDT"})) == rows[:2]


@pytest.mark.parametrize(
    ("begin", "end", "message"),
    [
        ("noon", "", "--from takes a day or a time like 2024-08-08T12:00, or a unix time, not 'noon'"),
        ("", "5", "--to takes a day or a time like 2024-08-08T12:00, or a unix time, not '5'"),
        ("2024-08-09", "2024-08-08", "--from 2024-08-09 is not before --to 2024-08-08"),
    ],
)
def test_a_time_that_is_none_is_one_clear_line(begin: str, end: str, message: str):
    with pytest.raises(Exception, match=message):
        options(begin=begin, end=end)


def _npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, data=np.zeros(3, np.dtype(writers.EVENT, align=True)))
    return buffer.getvalue()


_HEADS = (
    b"exchange,symbol,timestamp,local_timestamp,id,side,price,amount\nkraken,A,1723161254087896,1723161254087896,1,buy,1,1\n",
    b"exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\nk,A,1723161254087896,1723161254087896,true,bid,1,1\n",
    b"exchange,symbol,timestamp,local_timestamp,asks[0].price,asks[0].amount,bids[0].price,bids[0].amount\n",
    b'1723161254087896568 {"lastUpdateId":1,"bids":[],"asks":[]}\n1723161254087896568 {"stream":"a@depth","data":{}}',
    _npz(),
    b"", b"{", b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"1723161254087896568 {", b"\xef\xbb\xbf",
    b"id,price,qty,quote_qty,time,is_buyer_maker\n", b"5266583935,61800.3,0.006,370.8018,1723161256322,false\n",
    zipped("BTCUSDT-trades-2024-08.csv", b"5266583935,61800.3,0.006,370.8018,1723161256322,false\n"),
    gzip.compress(TEXT), lzma.compress(TEXT),
)  # fmt: skip


@given(head=st.sampled_from(_HEADS), cut=st.integers(0, 400), tail=st.binary(max_size=60))
def test_whatever_the_bytes_are_there_is_no_traceback(tmp_path_factory, head: bytes, cut: int, tail: bytes):
    path = tmp_path_factory.getbasetemp() / "BTCUSDT-trades-2024-08-08.bytes"
    path.write_bytes(head[: max(4, len(head) - cut)] + tail)
    said = refused(
        RecordingError, lambda: list(recordings.read(path, CountingReport(), InputOptions(symbol="A", venue="a")))
    )
    assert "\n" not in said
