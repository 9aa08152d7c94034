"""One target under the fuzzer. It takes its process over and ends it, so each target gets a child of its own."""

import hashlib
import os
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import atheris
import structlog

from tests.fuzz.targets import NASTY, Target

#: A call that takes longer is a fault, and so is a process that takes more; longer inputs are not tried.
HANG_S, MEMORY_MIB, LONGEST_BYTES = 5, 512, 8_192
#: Longer words than the fuzzer takes into its dictionary.
MAX_WORD_BYTES = 64


class Plan(NamedTuple):
    """How long to look, and where to keep what is learnt and found."""

    folder: Path
    seconds: int
    #: -1: as many as there is time for.
    runs: int = -1
    #: 0: another one each time.
    seed: int = 0


class FuzzResult(NamedTuple):
    """What a run over one target came to."""

    executions: int
    a_second: int
    #: Places in our code that were reached.
    places: int
    peak_mib: int
    #: The fuzzer's own words on a fault; empty where it found none.
    fault: str

    def __str__(self) -> str:
        """Return a line for a person."""
        speed = f"{self.executions:>10,} executions {self.a_second:>8,}/s"
        return f"{speed} {self.places:>5} places {self.peak_mib:>4} MiB  {'A FAULT' if self.fault else 'nothing found'}"


def seed(folder: Path, seeds: Sequence[bytes]) -> None:
    """Write what the fuzzer begins with."""
    folder.mkdir(parents=True, exist_ok=True)
    for each in seeds:
        (folder / hashlib.sha256(each).hexdigest()[:40]).write_bytes(each)


def words(seeds: Sequence[bytes]) -> bytes:
    """Return a dictionary of libFuzzer: the words and signs of the seeds, a line each."""
    found = {word for each in seeds for word in re.findall(rb'\w+|[^\w\s]|"\w+":', each) if len(word) < MAX_WORD_BYTES}
    return b"".join(b'"%b"\n' % "".join(f"\\x{byte:02x}" for byte in word).encode() for word in sorted(found))


def fuzz(name: str, target: Target, plan: Plan) -> FuzzResult:
    """Fuzz one target until the time is over or something is found."""
    corpus, log = plan.folder / name, plan.folder / f"{name}.log"
    seed(corpus, (*target.seeds, *NASTY))
    dictionary = plan.folder / f"{name}.words"
    dictionary.write_bytes(words(target.seeds))
    child = os.fork()
    if not child:
        limits = f"-timeout={HANG_S} -rss_limit_mb={MEMORY_MIB} -max_len={LONGEST_BYTES}"
        wanted = f"-max_total_time={plan.seconds} -runs={plan.runs} -seed={plan.seed} -print_final_stats=1"
        places = [f"-artifact_prefix={plan.folder}/found-{name}-", f"-dict={dictionary}", str(corpus)]
        _fuzz_here(target, [*limits.split(), *wanted.split(), *places], log)
    _, status = os.waitpid(child, 0)
    said = log.read_text(encoding="utf-8", errors="replace")
    executions, a_second = _last(r"executed_units: (\d+)", said), _last(r"exec_per_sec: +(\d+)", said)
    reached, peak_mib = _last(r"cov: (\d+)", said), _last(r"peak_rss_mb: +(\d+)", said)
    return FuzzResult(executions, a_second, reached, peak_mib, said[-4_000:] if status else "")


def _fuzz_here(target: Target, options: Sequence[str], log: Path) -> None:
    """Become the fuzzer, which ends this process."""
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    structlog.configure(processors=[_say_nothing])
    atheris.Setup([sys.argv[0], *options], partial(_keeping, target, log))
    atheris.Fuzz()


def _keeping(target: Target, log: Path, raw: bytes) -> None:
    try:
        target.run(raw)
    except BaseException:
        # Under the name that libFuzzer gives it too, which once kept nothing because the interpreter ended badly.
        number = hashlib.sha1(raw, usedforsecurity=False).hexdigest()
        log.with_name(f"found-{log.stem}-crash-{number}").write_bytes(raw)
        raise


def _say_nothing(*_: object) -> structlog.typing.EventDict:
    """Log nothing: there would be a line for every refusal."""
    raise structlog.DropEvent


def _last(pattern: str, text: str) -> int:
    return int((re.findall(pattern, text) or ["0"])[-1])
