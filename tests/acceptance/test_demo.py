import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from compose.local.processes import ROOT
from tests.support.files.openings import write_opening
from tests.support.stacks.pipeline import backtested, digests
from tests.support.starting import start
from tests.support.waiting import wait_for

KEYS = [
    "frames", "events", "skipped", "refused", "repeats", "errors", "dropped", "batches", "resends", "fenced",
    "signals", "latency_ms", "seconds", "digest", "positions_digest",
]  # fmt: skip


#: What every line of a signal has and no other line.
SIGNAL = "USDT  "


class Demo:
    """A demo that runs, and what it left on its two outputs."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self._out = folder / "out"
        self._err = folder / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = psutil.Popen(
                [sys.executable, "-m", "compose.local", "demo", *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=os.environ | {"PYTHONWARNINGS": "default::ResourceWarning"} | environment,
            )
        self.family: set[psutil.Process] = set()

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def shows(self, text: str) -> None:
        """Wait until it has printed something."""

        def seen() -> bool:
            ended = self.process.poll() is not None
            self.remember()
            assert not ended or text in self.out + self.err, f"it ended without {text!r}: {self.out}{self.err}"
            return text in self.out + self.err

        wait_for(seen, text)

    def remember(self) -> None:
        """Note the processes that it has now."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.family |= set(self.process.children(recursive=True))

    @property
    def worker(self) -> psutil.Process:
        """The main process of its only worker."""
        children: list[psutil.Process] = self.process.children()
        [worker] = [each for each in children if "worker-1@%h" in each.cmdline()]
        return worker

    def ends(self) -> int:
        status: int = wait_for(lambda: [code for code in (self.process.poll(),) if code is not None], "its end")[0]
        return status

    @property
    def directory(self) -> Path:
        [name] = re.findall(r"\.run/demo-\w+", self.out + self.err)
        return ROOT / str(name)

    def leaves_nothing(self) -> bool:
        wait_for(lambda: not any(map(alive, self.family)), f"the end of {self.family}")
        wait_for(lambda: not self.directory.exists(), "the directory to go")
        return len(self.family) > 5  # reaper, two servers, ingest, workers, Flower, feed: it did have some


def alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


@pytest.fixture
def demo(tmp_path) -> Iterator[Callable[..., Demo]]:
    started: list[Demo] = []

    def start(*arguments: str, **environment: str) -> Demo:
        started.append(Demo(tmp_path, *arguments, **environment))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.wait()


def test_a_demo_of_seconds_sums_up_and_leaves_nothing(demo):
    """Whether it has a signal by then is up to the simulated market."""
    run = demo("--seconds", "12", "--workers", "1", "--pool", "solo")
    run.shows("is running")
    run.shows("The feed has ended")
    assert run.ends() == 0, run.out + run.err
    assert re.search(r"events +[1-9]", run.out)
    assert re.search(r"digest +[0-9a-f]{64}", run.out)
    assert "ResourceWarning" not in run.err
    assert run.leaves_nothing()


def doctor_finds_nothing_wrong(run: Demo) -> bool:
    """Ask by the environment that the demo says it is reached by."""
    [line] = re.findall(r"^  env +(.*)$", run.out, re.MULTILINE)
    reached_by = dict(word.split("=", 1) for word in line.split())
    told = start(["tasks", "doctor", "--json"], os.environ | reached_by)
    findings = [json.loads(line) for line in told.stdout.splitlines()]
    assert len(findings) > 10
    return all(each["sign"] == "ok" for each in findings)


@pytest.mark.ci
def test_the_doctor_finds_nothing_wrong_and_ctrl_c_ends_it_in_order(demo):
    """That is with a summary and status 130, and nothing is left."""
    run = demo("--workers", "1")
    run.shows(SIGNAL)
    # On a machine that has much else to do, servers may be slow at first.
    wait_for(lambda: doctor_finds_nothing_wrong(run), "the doctor to find nothing wrong")
    run.process.send_signal(signal.SIGINT)
    run.shows("The feed has ended")
    assert run.ends() == 130, run.out + run.err
    assert re.search(r"^  dropped +none$", run.out, re.MULTILINE)
    assert run.leaves_nothing()


@pytest.fixture
def short(recording: Path, tmp_path: Path) -> Path:
    """Return the head of a recording: a feed that ends by itself, however slow the machine is."""
    return write_opening(recording, 6_000, tmp_path / "short.jsonl")


@pytest.mark.ci
@pytest.mark.parametrize("source", ["core", "jetstream"])
def test_with_json_one_object_sums_up_what_it_also_records(demo, short, tmp_path, source):
    """It stands alone on standard output, and the recording gives the digest of the demo."""
    file = tmp_path / "mine.jsonl.gz"
    feed = ("--feed", str(short), "--speed", "max", "--source", source)
    run = demo(*feed, "--workers", "1", "--pool", "solo", "--json", "--record", str(file))
    run.shows("The feed has ended")
    assert run.ends() == 0, run.err
    [line] = run.out.splitlines()
    summary = json.loads(line)
    assert list(summary) == KEYS
    assert summary["frames"] == summary["events"] + sum(summary["skipped"].values()) + sum(summary["refused"].values())
    recorded = backtested([file])
    assert summary["events"] == recorded.frames == 6_000
    assert (summary["digest"], summary["positions_digest"]) == digests(recorded)
    assert run.leaves_nothing()


@pytest.mark.ci
def test_nats_that_is_killed_at_the_stop_costs_the_demo_nothing(demo, short):
    run = demo("--source", "jetstream", "--feed", str(short), "--speed", "max", "--workers", "1", "--json")
    run.shows("(signals on signals.>)")
    [nats] = [each for each in run.process.children() if "nats-server" in each.cmdline()[0]]
    run.shows("The feed has ended")
    nats.kill()
    assert run.ends() == 0, run.err
    summary, expected = json.loads(run.out), backtested([short])
    assert summary["frames"] == expected.frames
    assert (summary["digest"], summary["positions_digest"]) == digests(expected)
    assert run.leaves_nothing()


def test_ctrl_c_while_it_starts_is_heard_at_once(demo):
    run = demo()
    run.shows("Starting")
    wait_for(lambda: run.remember() or len(run.family) > 3, "the first processes")
    run.process.send_signal(signal.SIGINT)
    run.shows("Stopped at once")
    assert run.ends() == 130
    wait_for(lambda: not any(map(alive, run.family)), "all to end")


@pytest.mark.ci
def test_a_second_ctrl_c_does_not_wait(demo):
    run = demo("--workers", "1", INGEST_DRAIN_S="60")
    run.shows(SIGNAL)
    run.worker.suspend()  # so that there is something to wait for
    run.process.send_signal(signal.SIGINT)
    run.shows("The feed has ended")
    run.process.send_signal(signal.SIGINT)
    run.shows("Stopped at once")
    assert run.ends() == 130
    assert run.leaves_nothing()


@pytest.mark.ci
def test_a_killed_worker_is_started_again_and_kill_9_leaves_nothing(demo):
    run = demo("--workers", "1", "--pool", "solo")
    run.shows(SIGNAL)
    run.worker.kill()
    run.shows("worker-1 was ended by SIGKILL and is started again")
    wait_for(lambda: any("worker-1@%h" in each.cmdline() for each in run.process.children()), "the next one")
    run.remember()
    run.process.kill()
    assert run.leaves_nothing()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--feed", "nowhere.jsonl"), r"error: can't read .*nowhere\.jsonl: No such file or directory\n"),
        (("--feed", "run"), r"error: .*run is of no known format \(.*\): it begins with '#!/bin/sh'\n"),
        (("--feed", "simulate", "--speed", "2"), r"error: --speed needs a recording: --feed FILE\n"),
        (("--feed", "simulate", "--feed", "binance"), r"error: --feed can be repeated for recordings only\n"),
        (("--feed", "run", "--speed", "fast"), r"error: --speed fast: a number above 0, or max\n"),
        (("--record", "README.md"), r"error: --record: .*/README\.md is there already\n"),
        (("--record", "nowhere/mine.jsonl"), r"error: --record: can't write into .*/nowhere\n"),
    ],
)
def test_a_feed_or_recording_that_can_not_be_gets_one_line(arguments, message):
    ended = start(["compose.local", "demo", *arguments], os.environ)
    assert ended.returncode == 1
    assert re.fullmatch(message, ended.stderr)
    assert ended.stdout == ""


@pytest.mark.ci
def test_a_flower_port_that_is_taken_gets_one_line(demo):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = demo("--flower-port", str(port))
        assert run.ends() == 1
    assert run.err == f"error: Flower's port {port} is taken; choose another one with --flower-port\n"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"STRATEGIES_FILE": "nowhere.toml"},
            r"error: can't read the strategies file .*nowhere\.toml: No such file.*\n",
        ),
        ({"LOG_LEVEL": "loud"}, r"error: the settings can't be used: LOG_LEVEL: .*\n"),
    ],
)
def test_settings_that_can_not_be_are_told_before_anything_starts(environment, message):
    ended = start(["compose.local", "demo"], os.environ | environment)
    assert ended.returncode == 1
    assert re.fullmatch(r"Starting .*\n", ended.stdout)
    assert re.fullmatch(message, ended.stderr)
