"""A start that fails, whatever of ours is started: exit status 1, one line that says why, no file left behind."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from compose.local.processes import ROOT
from compose.local.servers import free_port
from tests.support.starting import start_alone

RECORDING = str(ROOT / "tests" / "data" / "recording.jsonl.gz")
SECRET = "hunter2"  # noqa: S105 is looked for in what is said

FEEDS = {
    "simulate": ["ingest", "simulate", "--seconds", "1"],
    "replay": ["ingest", "replay", RECORDING],
    "binance": ["ingest", "binance", "BTCUSDT"],
    "record": ["ingest", "record", "{folder}/made.jsonl.gz", "--seconds", "1"],
}
PROGRAMS = FEEDS | {
    "ingest": ["ingest"],
    "worker": ["celery", "-A", "tasks", "worker", "-Q", "depth,trade"],
    "flower": ["celery", "-A", "tasks", "flower"],
    "run-worker": ["compose.celery_command", "-A", "tasks", "worker", "-Q", "depth,trade"],
    "run-flower": ["compose.celery_command", "-A", "tasks", "flower"],
    "inspect": ["celery", "-A", "tasks", "inspect", "ping"],
    "report": ["celery", "-A", "tasks", "report"],
    "backtest": ["tasks", "backtest", RECORDING],
    "config": ["tasks", "config", "show"],
    "signals": ["tasks", "signals"],
    "deadletters": ["tasks", "deadletters", "list"],
    "state": ["tasks", "state", "show"],
    "strategies": ["tasks", "strategies", "get"],
}
#: What nobody of ours can work with, and what is said.
FOR_ALL = {
    "no Redis": ({"REDIS_URL": f"http://:{SECRET}@h"}, "REDIS_URL: not an address"),
    "an option of a Redis": (
        {"REDIS_URL": f"redis://:{SECRET}@h/0?socket_timeout=3"},
        "takes no option socket_timeout",
    ),
    "another broker": ({"BROKER_URL": "amqp://h"}, "BROKER_URL: not an address"),
    "half a socket": ({"REDIS_URL": "unix://run/redis.sock"}, "REDIS_URL: a socket is written as unix:///"),
    "mixed schemes": ({"NATS_URL": "nats://a,ws://b"}, "NATS_URL: ws:// and wss:// stand together"),
    "no NATS": ({"NATS_URL": f"nats://me:{SECRET}/x@h"}, "NATS_URL: not an address"),
    "no file of a secret": ({"NATS_PASSWORD_FILE": "/nowhere"}, "NATS_PASSWORD_FILE: can't read /nowhere"),
    "no certificate": ({"REDIS_TLS_CA": __file__}, "REDIS_TLS_CA, REDIS_TLS_CERT, REDIS_TLS_KEY: can't be used"),
    "no certificate's file": ({"NATS_TLS_CA": "/nowhere"}, "NATS_TLS_CA: can't read the file"),
    "no subject": ({"NATS_SUBJECTS": "a b"}, "NATS_SUBJECTS: must be NATS subjects"),
    "no port": ({"HTTP_PORT": "70000"}, "HTTP_PORT: must be at most 65535"),
    "no setting": ({"INGEST_SORCE": "core"}, "INGEST_SORCE: there is no such setting; did you mean INGEST_SOURCE?"),
    "no websocket": ({"BINANCE_SPOT_URL": "https://h"}, "BINANCE_SPOT_URL: must be ws://HOST/PATH"),
}
#: What matters to who connects to NATS.
OF_NATS = {
    "credentials": (
        {"NATS_CREDENTIALS": "/etc/nats/user.creds"},
        "NATS_CREDENTIALS: not the text of a credentials file",
    ),
    "seed": ({"NATS_NKEY": SECRET}, "NATS_NKEY: not the seed of an nkey"),
    "name over wss": ({"NATS_URL": "wss://h", "NATS_TLS_NAME": "other"}, "NATS_TLS_NAME: over wss://"),
}
OF_PROXIES = {"proxy": ({"HTTPS_PROXY": f"foo://me:{SECRET}@127.0.0.1:1"}, "HTTPS_PROXY or its like: not the address")}
OF_STRATEGIES = {"strategies": ({"STRATEGIES_FILE": "/nowhere"}, "can't read the strategies file /nowhere")}

Case = tuple[str, str, Mapping[str, str], str]
CASES: list[Case] = [
    (program, name, given, said)
    for programs, faults in (
        (PROGRAMS, FOR_ALL),
        ([*FEEDS, "ingest"], OF_NATS),
        (["binance"], OF_PROXIES),
        (["ingest", "backtest"], OF_STRATEGIES),
    )
    for program in programs
    for name, (given, said) in faults.items()
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("made")


@pytest.fixture(scope="module")
def ended(folder: Path) -> dict[tuple[str, str], subprocess.CompletedProcess[str]]:
    """The results of all of them, started one after the other."""
    nobody = f"127.0.0.1:{free_port()}"
    usual = {"REDIS_URL": f"redis://{nobody}", "NATS_URL": f"nats://{nobody}", "HTTP_PORT": "0", "LOG_FORMAT": "json"}
    return {
        (program, name): start_alone(
            [word.replace("{folder}", str(folder)) for word in PROGRAMS[program]], usual | dict(given)
        )
        for program, name, given, _ in CASES
    }


@pytest.mark.parametrize(
    ("program", "name", "said"), [pytest.param(case[0], case[1], case[3], id=f"{case[0]}-{case[1]}") for case in CASES]
)
def test_a_start_that_fails_is_one_line(ended, folder, program, name, said):
    done = ended[program, name]
    # That nobody could be asked whether the ledger is past a file is no part of it.
    lines = [line for line in done.stderr.splitlines() if "can't ask the ledger" not in line]
    assert (done.returncode, len(lines)) == (1, 1), done
    assert said in lines[0]
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr + done.stdout
    assert not list(folder.iterdir())
