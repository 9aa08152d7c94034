"""Bugs planted into the protocol: the simulator is worth something only if it finds each of them.

A mutation replaces a few words of a script, or a function. Each is a mistake that somebody could make.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock
from zlib import crc32

from ingest.dispatch import sender
from ingest.dispatch.notice_listener import NoticeListener
from ingest.frame_handler import FrameHandler
from ingest.lanes import lane
from ingest.lanes.lane import Lane
from ingest.lanes.lanes import Lanes
from ingest.lanes.task_routing import TaskRouter
from ingest.ledger import ledger as ingest_ledger
from ingest.ledger import stored_shard
from ingest.relay import relay
from ingest.relay.outgoing_signal import OutgoingSignal
from ingest.sources import resume
from ingest.sources.cursor import StreamCursor
from ingest.sources.passing import Passing
from ingest.sources.pull import PullRequest
from ingest.sources.resume import LastFrame, StreamTail
from tasks.events import Position
from tasks.ledger import Ledger, lua
from tasks.ledger import ledger as worker_ledger
from tasks.ledger.known_configurations import KnownConfigurations
from tasks.protocol.notice import CONFIGURATION_NOTICE
from tasks.protocol.records import Record
from tasks.worker.strategy_cache import StrategyCache
from tests.simulation import operators, world

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
        for owner in (ingest_ledger, worker_ledger, operators, world):
            stack.enter_context(mock.patch.object(owner, "script", mutated))

    return plant


def _both(*plants: Plant) -> Plant:
    def plant(stack: ExitStack) -> None:
        for each in plants:
            each(stack)

    return plant


#: Positions that no batch led to are believed: else they show some of the other bugs before anything goes wrong.
_ANY_POSITION = _patch(Lane, "can_stand_at", lambda *_: True)


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


async def _publish_more(self: relay.Relay, signals: Mapping[bytes, OutgoingSignal]) -> set[bytes]:
    refused = await _publish_plainly(self, dict(signals))
    for each in signals.values():
        await self._nats.publish(each.subject, each.packed.replace(b'"id":"', b'"id":"x', 1), headers=each.headers)
    return refused


def _begin_highest(stream: Any, known: Any, start: Any, kept_seq: int | None = None, **options: Any) -> Position:
    found = _begin(stream, known, start, kept_seq, **options)
    here = [each.seq for each in known if each.source == found.source]
    return Position(found.source, max(here, default=found.seq))


def _take_whatever(self: PullRequest, _: int, now_s: float) -> bool:
    del now_s
    self.received += 1
    return True


def _begin_same_source(stream: Any, known: Any, start: Any, kept_seq: int | None = None, **options: Any) -> Position:
    found = _begin(stream, known, start, kept_seq, **options)
    losses = stream.losses(found.source)
    return Position(stream.source_after(losses - 1), found.seq) if kept_seq is not None and losses else found


def _find_in_force(self: StrategyCache, ledger: Ledger, version: str, pool: str) -> Any:
    stored: Any = ledger._client.hget(ledger.keys.configuration, "version")
    return _find(self, ledger, stored.decode() if stored else version, pool)


def _lose_a_third(self: FrameHandler, subject: str, raw: bytes, headers: Any, *numbered: Any) -> None:
    if numbered or crc32(raw) % 3:
        _deliver(self, subject, raw, headers, *numbered)


async def _take_commits_only(self: NoticeListener, text: str) -> None:
    if text != CONFIGURATION_NOTICE:
        await _take_notice(self, text)


def _frames_of_shards(stored: Mapping[str, bytes | None]) -> list[LastFrame]:
    return _frames_read({where: frame for where, frame in stored.items() if where.endswith(" read")})


def _frame_of_one_shard(stored: Mapping[str, bytes | None]) -> list[LastFrame]:
    where = max(each for each in stored if each.endswith(" read"))
    return _frames_read({where: stored[where]})


def _send_where_it_was(self: TaskRouter, lanes: Any, workforce: Any, now_s: float) -> str:
    before, queues = lanes[0].task, self.__dict__.setdefault("_queues", {})
    queue = _route(self, lanes, workforce, now_s) or queues.get(before, "")
    queues[lanes[0].task] = queue
    return queue


def _wait_for_the_worker(self: TaskRouter, lanes: Any, workforce: Any, now_s: float) -> str:
    queue = _route(self, lanes, workforce, now_s)
    for each in lanes if queue else ():
        each.check_s = math.inf
    return queue


_deliver = FrameHandler.deliver
_find = StrategyCache.find
_take_notice = NoticeListener._take
_begin = resume.begin
_frames_read = stored_shard.frames_read
_publish_plainly = relay.Relay._publish_plainly
_route = TaskRouter.send
_tails = resume.tails_before_losses
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
        "commit", "for at = 1, #signals, 3 do", "for at = 1, #signals - 3, 3 do"
    ),
    "a checkpoint does not see that Redis went back": _script(
        "checkpoint", "then return 'fallen' end", "then break end"
    ),
    "a checkpoint does not look at the epoch": _script(
        "checkpoint", "if redis.call('HGET', KEYS[1], 'epoch') ~= epoch then return 'epoch' end", ""
    ),
    "another layout leaves epochs of other shards": _both(
        _ANY_POSITION, _script("claim", "redis.call('HDEL', KEYS[at], 'epoch')", "")
    ),
    "the frontier is one too high": _patch(
        Lanes,
        "frontier",
        property(lambda self: min((lane.first.seq for lane in self if lane.first), default=self.last_seq)),
    ),
    "a leader goes on though the ledger has another epoch": _both(
        _ANY_POSITION, _patch(sender.Sender, "check_epoch", lambda *_: True)
    ),
    "halving loses the second half": _patch(Lane, "_halve", _halve_and_lose),
    "the relay acknowledges what is not flushed": _patch(relay, "confirming_publishes", _Unconfirmed),
    "the relay publishes what nobody committed, too": _patch(relay.Relay, "_publish_plainly", _publish_more),
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
    "the fence does not look for resets": _script(
        "commit", "if (stands[2] or '') ~= batch[6] then return 'reset' end", ""
    ),
    "a reset is not counted": _script("reset", "redis.call('HINCRBY', KEYS[1], 'resets', 1)", ""),
    "workers run the configuration in force": _patch(StrategyCache, "find", _find_in_force),
    "ingest ignores that the configuration changed": _patch(NoticeListener, "_take", _take_commits_only),
    "lost configurations are not written back": _patch(KnownConfigurations, "restore", lambda _: []),
    "a lost end of the stream is not seen": _patch(StreamTail, "is_held", lambda *_: True),
    "after a loss positions are compared with those before": _patch(resume, "begin", _begin_same_source),
    "the last frames that lanes took do not count": _patch(stored_shard, "frames_read", _frames_of_shards),
    "the last frames of other shards do not count": _patch(stored_shard, "frames_read", _frame_of_one_shard),
    "a loss that another shard has noticed does not count": _patch(
        resume, "tails_before_losses", lambda stream, stored, mine: _tails(stream, stored, mine) if mine else []
    ),
    "a claim does not see that Redis went back": _script("claim", "if checkpoint ~= wanted then", "if false then"),
    "an event is given up after three runs": _patch(lane, "max_starts", lambda _: 3),
    "a third of the frames of plain NATS is lost": _patch(FrameHandler, "deliver", _lose_a_third),
    "frames of others are passed while ours wait": _patch(Passing, "check", lambda _, __, end: end),
    "a batch goes again and again to the worker that is gone": _patch(TaskRouter, "send", _send_where_it_was),
    "a batch for one worker is waited for while that one lives": _patch(TaskRouter, "send", _wait_for_the_worker),
}
#: A seed that finds each, in their order: the first ones without what people do, the others with it.
_WITHOUT_OPERATORS = (238, 22, 6, 0, 0, 19, 18, 512, 56, 107, 26, 144, 3, 19, 0, 38, 129, 17)
_WITH_OPERATORS = (
    12, 12, 59, 22, 31, 19, 19, 30_001_077, 70_003_315, 71_003_563, 50_001_459, 38, 2, 300_000_000_109,
    500_000_000_098, 500_000_000_267,
)  # fmt: skip
_SEEDS = [(seed, False) for seed in _WITHOUT_OPERATORS] + [(seed, True) for seed in _WITH_OPERATORS]
#: By bug: a seed that finds it, and whether with what people do.
FOUND_BY = dict(zip(PLANTED, _SEEDS, strict=True))


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Plant a bug meanwhile."""
    with ExitStack() as stack:
        PLANTED[name](stack)
        yield
