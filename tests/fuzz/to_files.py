"""What files and the environment hold."""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import msgspec

from tasks import configuration
from tasks.configuration import Configuration, registry
from tasks.errors import RecordingError, SettingsError
from tasks.history import recordings
from tasks.settings import SECRETS, Settings, load
from tests.fuzz.samples import NOW_NS, STRATEGIES_FILE
from tests.fuzz.targets import target
from tests.support.frames.wire import SPOT_TRADE, enveloped


def _in_a_file(raw: bytes, use: Callable[[Path], object]) -> None:
    with tempfile.NamedTemporaryFile(dir=_memory()) as file:
        file.write(raw)
        file.flush()
        use(Path(file.name))


@cache
def _memory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 where files cost no disk


def _known(name: str) -> ModuleType:
    """Import strategies of ours only: importing runs what the fuzzer happened to name."""
    if not name.startswith("tasks.strategies."):
        raise ModuleNotFoundError(name)
    return import_module(name)


@target(
    STRATEGIES_FILE.read_bytes(),
    b"[gate]\nmin_confidence = 0.5\n[pools.trade]\nkinds = ['trade']\nsymbols = ['A']\n"
    b"[pools.trade.strategies.price_velocity]\nhold_s = 1.5\n[pools.trade.strategies.price_velocity.symbols.A]\nhold_s = 2\n",
)
def strategies(raw: bytes) -> None:
    _in_a_file(raw, _understood)


def _understood(path: Path) -> None:
    with patch.object(registry, "import_module", _known), suppress(SettingsError):
        chosen = configuration.read(path)
        registry.build(chosen)
        assert Configuration.parse(chosen.canonical()).version == chosen.version


ENVIRONMENT = {
    "NATS_URL": "nats://u:p@h:4222,tls://h", "REDIS_URL": "rediss://:p@h:6379/0", "INGEST_SHARD": "0/2",
    "BROKER_URL": "sentinel://h:26379;sentinel://h:1", "SIGNAL_SUBJECT": "signals.{strategy}.{symbol}",
    "INGEST_LANE_BYTES": "67108864", "RUN_LIMIT_S": "1.5", "LOG_LEVEL": "info", "FLOWER_URL": "http://h",
    "METRICS_STRICT_PORT": "true", "NAMESPACE": "rs", "INGEST_STREAM_REPLICAS": "3", "INGEST_TOTAL": "1",
}  # fmt: skip
#: They name files, and a fuzzer must not open whatever it names.
_FILES = {f"{name.upper()}_FILE" for name in SECRETS} | {
    name.upper() for name in Settings.model_fields if "_tls_" in name
}


@target(
    "\n".join("=".join(item) for item in ENVIRONMENT.items()).encode(),
    *("=".join(i).encode() for i in ENVIRONMENT.items()),
)
def settings(raw: bytes) -> None:
    pairs = (line.partition("=") for line in os.fsdecode(raw.replace(b"\0", b"")).splitlines())
    environment = {name: value for name, _, value in pairs if name and name.isprintable() and name not in _FILES}
    with patch.dict(os.environ, environment, clear=True), suppress(SettingsError):
        load.cache_clear()
        msgspec.json.encode({name: os.fsencode(value) for name, value in load().shown().items()})


LINES = b"".join(enveloped("btcusdt@trade", SPOT_TRADE, received_at=NOW_NS + number) + b"\n" for number in range(3))


@target(
    LINES,
    LINES[:80],
    b"\x1f\x8b",
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00",
)
def lines(raw: bytes) -> None:
    with suppress(RecordingError):
        _in_a_file(raw, lambda path: list(recordings.read(path)))
