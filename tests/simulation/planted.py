"""Bugs planted into the protocol: the simulator is worth something only if it finds each of them.

A mutation replaces a few words of a script, or a function. Each is a mistake that somebody could make.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from ingest.dispatch import sender
from ingest.lanes.lane import Lane
from ingest.lanes.lanes import Lanes
from ingest.ledger import ledger as ingest_ledger
from ingest.relay import relay
from ingest.sources import resume
from ingest.sources.cursor import StreamCursor
from ingest.sources.pull import PullRequest
from tasks.events import Position
from tasks.ledger import ledger as worker_ledger
from tasks.ledger import lua
from tasks.protocol.records import Record

Plant = Callable[[ExitStack], None]


def _patch(owner: Any, name: str, replacement: Any) -> Plant:
    return lambda stack: stack.enter_context(mock.patch.object(owner, name, replacement))


def _script(name: str, old: str, new: str) -> Plant:
    """Replace words in one of the Lua scripts."""
    true = lua.script

    def mutated(wanted: str) -> str:
        text = true(wanted)
        if wanted != name:
            return text
        if old not in text:
            raise ValueError(f"{name}.lua has no {old!r}")
        return text.replace(old, new)

    def plant(stack: ExitStack) -> None:
        for owner in (ingest_ledger, worker_ledger):
            stack.enter_context(mock.patch.object(owner, "script", mutated))

    return plant


def _halve_and_lose(self: Lane) -> None:
    self.flight = self.flight[: (len(self.flight) + 1) // 2]
    self.sent_s, self.tries = [], 0


class _Unconfirmed:
    def __init__(self, _: Any) -> None:
        pass

    async def __aenter__(self) -> set[str]:
        return set()

    async def __aexit__(self, *_: object) -> None:
        pass


def _begin_highest(stream: Any, known: Any, start: Any, kept_seq: int | None = None) -> Position:
    found = _begin(stream, known, start, kept_seq)
    here = [each.seq for each in known if each.source == found.source]
    return Position(found.source, max(here, default=found.seq))


def _take_whatever(self: PullRequest, _: int, now_s: float) -> bool:
    del now_s
    self.received += 1
    return True


_begin = resume.begin
_classify = Record.classify

#: By what the bug is.
PLANTED: dict[str, Plant] = {
    "the fence does not look at the epoch": _script("commit", "if epoch ~= batch[1] then", "if false then"),
    "the fence does not look at the position": _script(
        "commit", "if position ~= batch[3] then return 'position' end", ""
    ),
    "a repeated commit is made again": _script(
        "commit",
        "if position == batch[4] then return 'repeat' end",
        "if position == batch[4] then position = batch[3] end",
    ),
    "a commit does not move the lane": _script(
        "commit", "fields[#fields + 1], fields[#fields + 2] = batch[2], batch[4]", ""
    ),
    "a commit may lose its last signal": _script(
        "commit", "for at = 1, #signals, 2 do", "for at = 1, #signals - 2, 2 do"
    ),
    "a checkpoint does not see that Redis went back": _script(
        "checkpoint", "then return 'fallen' end", "then break end"
    ),
    "another layout leaves epochs of other shards": _script("claim", "redis.call('HDEL', KEYS[at], 'epoch')", ""),
    "the frontier is one too high": _patch(
        Lanes,
        "frontier",
        property(lambda self: min((lane.first.seq for lane in self if lane.first), default=self.last_seq)),
    ),
    "a leader goes on though the ledger has another epoch": _patch(sender.Sender, "check_epoch", lambda *_: True),
    "halving loses the second half": _patch(Lane, "_halve", _halve_and_lose),
    "the relay acknowledges what is not flushed": _patch(relay, "confirming_publishes", _Unconfirmed),
    "reading begins at the highest frontier": _patch(resume, "begin", _begin_highest),
    "a repeat of the feed is new": _patch(
        Record,
        "classify",
        lambda self, event, source: (
            "new" if _classify(self, event, source) == "repeat" else _classify(self, event, source)
        ),
    ),
    "a gap in the stream's messages is not seen": _patch(PullRequest, "receive", _take_whatever),
    "a new connection reads on with the old consumer": _patch(
        StreamCursor, "_why_reopen", lambda self, *_: "" if self.pull and not self.pull.doubt else "a start"
    ),
    "nobody sees that a lane fell": _patch(sender, "is_behind", lambda *_: False),
}
#: A seed that finds each, in their order.
FOUND_BY = dict(zip(PLANTED, (238, 22, 3, 0, 0, 19, 512, 34, 107, 26, 144, 0, 0, 38, 129, 17), strict=True))


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Plant a bug meanwhile."""
    with ExitStack() as stack:
        PLANTED[name](stack)
        yield
