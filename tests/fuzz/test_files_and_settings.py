"""Whatever files and the environment hold: what was meant, or one refusal that a person can read. No secret in it."""

import gzip
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import strategies as st

from compose.local.processes import ROOT
from tasks import configuration
from tasks.configuration import Configuration, registry
from tasks.errors import RecordingError, SettingsError
from tasks.history import recordings
from tasks.settings import SECRETS, Settings, load
from tests.fuzz.damage import any_bytes, refused, thrown

STRATEGIES = (ROOT / "tasks" / "strategies.toml").read_bytes()
LINE = b'{"stream":"btcusdt@trade","data":{"e":"trade"},"received_at":1723161254087896568}\n'
SECRET = "geheim"  # noqa: S105 looked for in what is said


@pytest.fixture(scope="module", autouse=True)
def _own_settings() -> Iterator[None]:
    yield
    load.cache_clear()


def in_a_file(raw: bytes, use: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "file"
        path.write_bytes(raw)
        use(path)


@thrown(
    raw=any_bytes(
        STRATEGIES, b"[pools.trade]\nkinds = ['trade']\n[pools.trade.strategies.price_velocity]\nhold_s = 1.5\n"
    )
)
def test_a_strategies_file_is_refused_or_reaches_the_workers_unchanged(raw: bytes):
    in_a_file(raw, understood)


def understood(path: Path) -> None:
    try:
        chosen = configuration.read(path)
        registry.build(chosen)
    except SettingsError:
        return
    assert Configuration.parse(chosen.canonical()).version == chosen.version


@pytest.mark.parametrize(
    "raw",
    [
        b"a = " + b"[" * 10_000,
        b"a = " + b"9" * 5_000,
        STRATEGIES.replace(b"partitions", b"#") + b"\n[gate]\nmin_confidence = nan\n",
        b"\xff\xfe",
        b"",
    ],
)
def test_a_strategies_file_that_breaks_parsers_is_refused(tmp_path: Path, raw: bytes):
    (tmp_path / "file").write_bytes(raw)
    with pytest.raises(SettingsError):
        configuration.read(tmp_path / "file")


PACKED = gzip.compress(LINE * 20, mtime=0)


@thrown(raw=any_bytes(LINE * 3, PACKED))
def test_a_recording_is_read_or_refused(raw: bytes):
    def read(path: Path) -> None:
        said = refused(RecordingError, lambda: list(recordings.read(path)))
        assert "\n" not in said

    in_a_file(raw, read)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_line_without_an_end_is_refused_before_it_is_read_whole(tmp_path: Path, pack: Callable[[bytes], bytes]):
    path = tmp_path / "bomb"
    path.write_bytes(pack(LINE + b" " * 10_000_000))
    with pytest.raises(RecordingError, match="line 2 is longer than"):
        list(recordings.read(path))


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
urls = st.builds(
    "{}{}:{}{}@{}".format,
    st.sampled_from(["redis://", "rediss://", "nats://", "tls://", "sentinel://", "unix://", "", "x://"]),
    texts, st.just(SECRET), texts, st.sampled_from(["h", "h:1", "h:x", "[::1", "h:1/x", "", "h:1,b:2", "h:1;sentinel://b"]),
)  # fmt: skip
values = texts | st.sampled_from(
    [
        "nan",
        "inf",
        "-1",
        "9" * 400,
        "0/0",
        "1/2",
        "²/³",
        "{strategy.__class__}",
        "{symbol:>9999999999}",
        "{strategy[0]}",
    ]
)
environments = st.dictionaries(
    st.sampled_from([name.upper() for name in Settings.model_fields if name not in SECRETS]), values, max_size=6
)
secrets = st.fixed_dictionaries(
    {}, optional={name.upper(): urls if name.endswith("_url") else st.just(SECRET) for name in SECRETS}
)


@thrown(plain=environments, hidden=secrets)
def test_an_environment_is_understood_or_refused_and_no_secret_is_said(plain: dict[str, str], hidden: dict[str, str]):
    with patch.dict(os.environ, plain | hidden, clear=True):
        load.cache_clear()
        try:
            said = msgspec.json.encode(load().shown()).decode()
        except SettingsError as error:
            said = str(error)
    assert SECRET not in said
