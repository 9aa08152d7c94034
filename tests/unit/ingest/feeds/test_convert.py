"""`./run ingest convert`: what is written, when, and what is said of the rest."""

import gzip
import json
import os
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ingest.__main__ import app
from ingest.feeds import convert as converting
from tasks import configuration
from tasks.backtest import parallel
from tasks.configuration import named_strategies
from tasks.errors import RecordingError
from tasks.frames import encoder
from tasks.history import packed, recordings
from tasks.history.input_options import ALL, InputOptions
from tasks.settings import load
from tests.support.files.writers import (
    by_market,
    content,
    events,
    npz,
    npz_trades,
    tardis_trades,
    trades,
    vision_csv,
    zipped,
)
from tests.support.needs import missing

ROW = b"5266583935,61800.3,0.006,370.8018,1723161256322,false\n"
NAME = "BTCUSDT-trades-2024-08-08.csv"
ODD = "odd-frames.jsonl"


def convert(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


@pytest.fixture(scope="module")
def archive(each_recording: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The trades of a recording as the files of an archive, a folder for each venue."""
    folder, paths = tmp_path_factory.mktemp("archive"), []
    for (venue, symbol), every in by_market(trades(each_recording)).items():
        (folder / venue).mkdir(exist_ok=True)
        name = f"{symbol}-trades-2024-08-08"
        path = folder / venue / f"{name}.zip"
        path.write_bytes(zipped(f"{name}.csv", vision_csv(every, header=venue == "usdm", unit=1000)))
        paths.append(path)
    return paths


def digest(paths: list[Path]) -> tuple[str, dict[str, int]]:
    """Return the digest of the strategies on trades; the lines of symbols may come in any order for these."""
    result = parallel.run(parallel.BacktestJob(paths, _on_trades())).result
    return result.digest, result.signals


@cache
def digest_of(recording: Path) -> tuple[str, dict[str, int]]:
    """Return the same for a recording of which several tests ask."""
    return digest([recording])


def _on_trades() -> configuration.Configuration:
    return named_strategies.only(configuration.read(load().strategies_file), [], ["price_velocity", "trade_momentum"])


def test_the_archives_trades_give_the_signals_of_the_recording(
    archive: list[Path], each_recording: Path, tmp_path: Path
):
    recorded = digest_of(each_recording)
    assert recorded[1]["trade_momentum"] > 0
    assert digest(archive) == recorded
    out = tmp_path / "out.jsonl.gz"
    ran = convert(*archive, "--out", out)
    assert ran.exit_code == 0, ran.output
    assert digest([out]) == recorded
    assert len(events(out)) == len(trades(each_recording))


EXCHANGES = {"spot": "binance", "usdm": "binance-futures"}


def test_trades_of_tardis_give_the_signals_of_the_recording(each_recording: Path, tmp_path: Path):
    paths = []
    for (venue, symbol), every in by_market(trades(each_recording)).items():
        path = tmp_path / f"{venue}_{symbol}.csv.gz"
        path.write_bytes(gzip.compress(tardis_trades(every, EXCHANGES[venue])))
        paths.append(path)
    assert digest(paths) == digest_of(each_recording)


def test_trades_of_hftbacktest_give_the_signals_of_the_recording(each_recording: Path, tmp_path: Path):
    """They have no ids, and so other ids of signals; all else is equal."""
    for (venue, symbol), every in by_market(trades(each_recording)).items():
        path, own = npz(tmp_path / f"{symbol}_20240808.npz", npz_trades(every)), tmp_path / "own.jsonl"
        own.write_bytes(b"".join(encoder.frame(trade) + b"\n" for trade in every))
        assert _signals(path, InputOptions(venue=venue)) == _signals(own, ALL)
        assert convert(path, "--venue", venue, "--out", tmp_path / "out.jsonl", "--force").exit_code == 0
        assert _signals(tmp_path / "out.jsonl", ALL) == _signals(own, ALL)


def _signals(path: Path, options: InputOptions) -> list[dict[str, object]]:
    ran = parallel.run(parallel.BacktestJob([path], _on_trades(), options=options))
    signals = [json.loads(signal) for signal in ran.signals]
    for signal in signals:
        del signal["id"], signal["signal_id"], signal["trigger"]["id"]
    return sorted(signals, key=lambda signal: (signal["event_time_ms"], signal["strategy"]))


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".zst"])
def test_the_name_says_how_the_recording_is_packed(tmp_path: Path, suffix: str):
    if suffix == ".zst" and packed.ZSTD is None:
        missing("backports.zstd is not installed")
    (tmp_path / NAME).write_bytes(ROW)
    out = tmp_path / f"out.jsonl{suffix}"
    ran = convert(tmp_path / NAME, "--out", out)
    assert (ran.exit_code, ran.stdout) == (0, f"{out}: 1 lines\n")
    assert (out.read_bytes()[:1] == b"{") is (suffix == "")
    [line] = list(recordings.read(out))
    assert (line.stream, line.received_at_ns) == ("btcusdt@trade", 1723161256322000000)


def test_a_packing_that_nothing_reads_again_is_refused(tmp_path: Path):
    (tmp_path / NAME).write_bytes(ROW)
    ran = convert(tmp_path / NAME, "--out", tmp_path / "out.jsonl.bz2")
    assert (ran.exit_code, ran.stderr) == (1, "error: a recording can't be packed as .bz2: .gz, .xz and .zst can be\n")
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_file_that_is_there_is_refused_unless_forced(tmp_path: Path):
    (tmp_path / NAME).write_bytes(ROW)
    out = tmp_path / "out.jsonl"
    out.write_text("precious")
    ran = convert(tmp_path / NAME, "--out", out)
    assert (ran.exit_code, ran.stderr) == (1, f"error: {out} is there already; --force replaces it\n")
    assert out.read_text() == "precious"
    assert convert(tmp_path / NAME, "--out", out, "--force").exit_code == 0
    assert len(events(out)) == 1


def test_a_file_that_comes_meanwhile_is_not_replaced(tmp_path: Path):
    out = tmp_path / "out.jsonl"

    def write() -> None:
        with converting._whole(out, force=False) as file:
            file.write(b"x")
            out.write_text("precious")

    with pytest.raises(RecordingError, match="is there already; --force replaces it"):
        write()
    assert out.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("force", [False, True])
def test_what_ends_half_way_leaves_nothing_behind(tmp_path: Path, force):
    out = tmp_path / "out.jsonl"

    def write() -> None:
        with converting._whole(out, force=force) as file:
            file.write(b"half")
            assert not out.exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_clear_line(tmp_path: Path):
    (tmp_path / NAME).write_bytes(ROW * 40_000)

    class Full:
        def write(self, _data: bytes) -> int:
            raise OSError(28, os.strerror(28))

    with pytest.raises(OSError, match="No space left"):
        converting._write(Full(), tmp_path / "out.jsonl", recordings.read(tmp_path / NAME))  # type: ignore[arg-type]
    ran = convert(tmp_path / NAME, "--out", tmp_path / "nowhere" / "out.jsonl")
    assert (ran.exit_code, ran.stderr) == (
        1, f"error: can't write {tmp_path / 'nowhere' / 'out.jsonl'}: No such file or directory\n",
    )  # fmt: skip


def test_the_output_is_none_of_the_inputs(tmp_path: Path):
    (tmp_path / "r.jsonl").write_bytes(b'{"received_at": 5}\n')
    ran = convert(tmp_path / "r.jsonl", "--out", tmp_path / "r.jsonl", "--force")
    assert (ran.exit_code, ran.stderr) == (1, f"error: {tmp_path / 'r.jsonl'} is one of the files to read\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing in {path} can be used: 1 refused as bad_price, the first: {path}, line 2 has no price in '0'"),
        (["--symbol", "ETHUSDT"], "there is nothing of ETHUSDT in {path}"),
        (["--from", "2031-01-01"], "there is nothing between --from and --to in {path}"),
    ],
)
def test_nothing_usable_is_one_line_and_no_file(tmp_path: Path, arguments: list[str], said: str):
    path, out = tmp_path / NAME, tmp_path / "out.jsonl"
    path.write_bytes(b"id,price,qty,quote_qty,time,is_buyer_maker\n" + ROW.replace(b"61800.3", b"0"))
    if arguments:
        path.write_bytes(ROW)
    ran = convert(path, "--out", out, *arguments)
    assert (ran.exit_code, ran.stderr) == (1, f"error: {said.format(path=path)}\n")
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_file_gives_what_is_whole_and_status_3(tmp_path: Path):
    path, out = tmp_path / "r.jsonl.gz", tmp_path / "out.jsonl"
    rows = b"".join(
        b'{"stream":"a@kline","data":{"x":"%b"},"received_at":%d}\n' % (os.urandom(50).hex().encode(), 10**18 + n)
        for n in range(500)
    )
    path.write_bytes(gzip.compress(rows)[:-1000])
    ran = convert(path, "--out", out)
    assert ran.exit_code == 3
    assert ran.stderr.startswith(f"warning: {path} is damaged or cut short after line ")
    written = out.read_bytes()
    assert rows.startswith(written)
    assert 100 < written.count(b"\n") < 500


def test_recordings_are_merged_and_keep_the_kinds_that_are_skipped(tmp_path: Path):
    for number, name in enumerate("ab"):
        lines = [
            {"stream": f"{name}@x", "data": {"e": "24hrTicker"}, "received_at": 10**18 + 2 * at + number}
            for at in range(5)
        ]
        (tmp_path / name).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    out = tmp_path / "out.jsonl"
    ran = convert(tmp_path / "a", tmp_path / "b", "--out", out)
    assert (ran.exit_code, ran.stdout) == (0, f"{out}: 10 lines; of kinds that are skipped: 24hrTicker 10\n")
    assert [line.stream for line in recordings.read(out)] == ["a@x", "b@x"] * 5


def test_every_line_of_odd_frames_is_used_skipped_or_refused(recordings: Path, tmp_path: Path):
    lines = (recordings / ODD).read_bytes().splitlines()
    collected = tmp_path / "btcusdt_20240808.gz"
    collected.write_bytes(gzip.compress(b"".join(b"1723161254087896568 %b\n" % line for line in lines)))
    for path in (recordings / ODD, collected):
        warnings: list[str] = []
        out = tmp_path / "out.jsonl"
        result = converting.convert([path], out, ALL, warnings.append, force=True)
        refused = sum(int(text.partition(" refused as ")[0]) for text in warnings)
        assert result.lines + refused == len(lines)
        assert 0 < sum(result.skipped.values()) < result.lines
        assert all(f"{path}, line " in text for text in warnings)


def test_content_is_compared_whole(archive: list[Path], each_recording: Path):
    """The other tests compare digests, in which prices and quantities are only where a signal is."""
    expected = sorted(map(content, trades(each_recording)), key=str)
    assert sorted((content(each) for path in archive for each in events(path)), key=str) == expected
