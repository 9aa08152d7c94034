"""Findings: what is wrong with a pipeline and what to do; one form for /ready, the page, the doctor and alerts."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from tasks.frames.optional_kinds import kind_of_skipped

Sign = Literal["ok", "warning", "fault"]

#: Of more things, so many are named and the others counted.
NAMED = 3

#: Every name that a finding of ingest may have: the label of the metric `ingest_finding`, on which alerts stand.
NAMES = (
    "starting",
    "standing_by",
    "stopping",
    "nats_away",
    "redis_away",
    "redis_full",
    "redis_refuses",
    "redis_evicts",
    "redis_cannot_save",
    "redis_unconfirmed",
    "ledger_damaged",
    "ledger_away",
    "ledger_misplaced",
    "ledgers_differ",
    "no_number",
    "commits_refused",
    "results_away",
    "stream_unwell",
    "stream_replica_away",
    "signals_wait",
    "signals_unkept",
    "lanes_stuck",
    "lanes_slow",
    "no_workers",
    "queue_unserved",
    "command_refused",
    "entry_refused",
    "strategy_errors",
    "strategy_stopped",
    "implausible_price",
    "implausible_id",
    "time_ahead",
    "bad_time",
    "symbol_not_allowed",
    "too_many_symbols",
    "wrong_partition",
    "configuration_overlay",
    "workers_too_old",
    "feed_quiet",
    "frames_unstored",
    "streams_silent",
    "feed_repeats",
    "stream_muted",
    "frames_unused",
)


#: Warnings that somebody has to see to at once, as to every fault: the alerts on them page.
PAGES = frozenset({"feed_quiet", "frames_unstored", "no_workers", "queue_unserved", "strategy_stopped", "stream_muted"})


class Finding(msgspec.Struct, frozen=True):
    """Result of one check."""

    #: A fault means that the work stands still: /ready fails. A warning needs somebody's attention.
    sign: Sign
    #: What was looked at.
    what: str
    says: str
    #: What to do about it.
    do: str = ""
    #: Stable, one of a few; empty: it has none, and is no metric.
    name: str = ""

    def with_hint(self, reword: Callable[[str], str]) -> "Finding":
        """Return it with `do` reworded, such as for how commands are called where it is shown."""
        return msgspec.structs.replace(self, do=reword(self.do))


def faults(found: Iterable[Finding]) -> list[Finding]:
    """Return those for which the work stands still: with none of them an ingest is ready."""
    return [each for each in found if each.sign == "fault"]


def pages(finding: Finding) -> bool:
    """Return whether somebody has to see to it at once."""
    return finding.sign == "fault" or finding.name in PAGES


def none_used(events: int, skipped: Mapping[str, int], refused: Mapping[str, int]) -> str:
    """Return a line for frames of which no strategy took any: what they were, the most frequent kind first."""
    kinds = sorted(skipped, key=lambda kind: -skipped[kind])
    kinds += [f"refused as {reason}" for reason in sorted(refused, key=lambda reason: -refused[reason])]
    kinds += ["events that no pool takes"] * bool(events)
    return (
        f"Frames came, none was used: kinds {named_some(kinds)}. Strategies take depth20 and trade streams, and other "
        "kinds where a pool names them."
    )


def untaken(skipped: Mapping[str, int]) -> list[str]:
    """Return a line for each kind of skipped frames that pools can take: how many there were, and what to do."""
    kinds = {name: kind_of_skipped(name) for name in sorted(skipped, key=lambda name: -skipped[name])}
    return [
        f"{skipped[name]:,} {'frame' if skipped[name] == 1 else 'frames'} of kind {name} "
        f"{'was' if skipped[name] == 1 else 'were'} skipped: to use them, name {kind} in a pool's kinds"
        for name, kind in kinds.items()
        if kind
    ]


def named_some(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are: a, b, c and 4 more."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def age(age_s: float) -> str:
    """Return an age in the largest fitting unit: 5 s, 3 min, 2 h, 4 days."""
    for unit, length_s in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if age_s >= 2 * length_s:
            return f"{age_s / length_s:.0f} {unit}"
    return f"{max(0.0, age_s):.0f} s"


def unavailable_results(url: str, why: str) -> Finding:
    """Return the warning about a Redis that has the results alone and does not answer; `url` shows no password."""
    says = f"{url} does not answer, so that Flower shows no new results: {why}"
    do = "start it, or fix RESULT_URL (`./run tasks config show`); batches do not wait for it"
    return Finding("warning", "Redis (results)", says, do, "results_away")


def unavailable_ledger(shard: int, url: str, why: str) -> Finding:
    """Return the warning about the ledger of another shard that does not answer; `url` shows no password."""
    says = f"{url} does not answer: that shard's lanes stand still, and its signals wait there: {why}"
    return Finding(
        "warning",
        f"ledger of shard {shard}",
        says,
        "start it, or fix LEDGER_URLS: `./run tasks doctor` says what it answers",
        "ledger_away",
    )


def misplaced_ledger(shard: int, url: str, why: str) -> Finding:
    """Return the warning about a server that has not the ledger of this shard; `url` shows no password."""
    says = f"nothing is relayed from {url}: {why}"
    do = "`./run tasks doctor` says what each server of LEDGER_URLS holds"
    return Finding("warning", f"ledger of shard {shard}", says, do, "ledger_misplaced")


def other_ledgers(workers: Mapping[str, int], ledgers: int) -> Iterator[Finding]:
    """Yield a warning about workers that know another number of ledgers than there are; `workers` has it by their names."""
    if differing := [name for name, count in workers.items() if count != ledgers]:
        says = (
            f"{named_some(differing)}: the number of ledgers that they know is not {ledgers}, so that they commit nothing of "
            "some shards: what they take waits until it is sent again"
        )
        yield Finding(
            "warning",
            "workers",
            says,
            "give them ingest's LEDGER_URLS (`./run tasks config show`), and restart them",
            "ledgers_differ",
        )


def unconfirmed(durability: str, why: str) -> Finding:
    """Return the fault that Redis does not keep what is committed in the way that LEDGER_DURABILITY asks for."""
    says = f"LEDGER_DURABILITY={durability}, and {why}: nothing that waits is settled"
    do = "`CONFIG SET appendonly yes`, on Redis 7.2 or later or Valkey, and see its disk"
    if durability == "replica":
        do = "start a replica, or see what keeps it back: `INFO replication`"
    return Finding("fault", "Redis", says, do, "redis_unconfirmed")


def refusals(workers: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    """Yield a warning for each worker that refused a control command lately: by its name, the command."""
    for worker, command in workers:
        if command:
            says = f"refused Celery's control command {command}, which could only have stopped a lane"
            do = "find out who sends it: anybody who reaches the broker (`CLIENT LIST`) or Flower can"
            yield Finding("warning", f"worker {worker}", says, do, "command_refused")


def workforce(listening: Sequence[Collection[str]], pools: Sequence[str], celery: str) -> Iterator[Finding]:
    """Yield what is wrong with the workers: `listening` holds the queues of each living one.

    `celery` is how Celery is called here.

    These are warnings: nothing is lost, and events that have waited for too long are a fault of their own.
    """
    command = f"start one: `{celery} -A tasks worker -Q {','.join(pools)}`"
    if not listening:
        yield Finding("warning", "workers", "none lives: events wait in ingest", command, "no_workers")
        return
    served = set[str]().union(*listening)
    for pool in pools:
        if pool not in served:
            says = "no worker listens to it: its events wait in ingest"
            yield Finding("warning", f"queue {pool}", says, command, "queue_unserved")
