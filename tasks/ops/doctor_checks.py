"""Checks of the doctor: what is wrong with a pipeline and what to do.

Facts in, findings out; `doctor_probes` collects them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tasks import invocation
from tasks.configuration import Configuration
from tasks.configuration.overlay_findings import runtime_values
from tasks.ledger.heartbeats import LiveWorker
from tasks.ops.doctor_facts import LedgerFacts, MisplacedLedger, NatsFacts, PortFacts, QueueFacts, RedisFacts
from tasks.protocol import redis_storage
from tasks.protocol.findings import Finding, Sign, age, unavailable_results, unconfirmed, workforce
from tasks.protocol.routing import Pool
from tasks.protocol.signed_number import signed
from tasks.protocol.task_name import RESEARCH_QUEUE, runs_sweeps_alone
from tasks.protocol.worker_kinds import old_workers

#: The first Redis with all that we use (INFO of several sections, the lag of XINFO GROUPS).
OLDEST_REDIS = (7, 0)
CLOCKS_APART_S = 1.0
MEMORY_WARNING = 0.80
MEMORY_FAULT = 0.95
#: Redis answers in well under this on a network that is fit for the work.
SLOW_MS = 20.0


def redis(facts: RedisFacts, *, allows_eviction: bool = False) -> Iterator[Finding]:
    """Yield the findings about a Redis server."""
    what = f"Redis ({', '.join(facts.roles)})"
    if facts.unavailable and set(facts.roles) == {"results"}:
        yield unavailable_results(facts.url, facts.unavailable)
        return
    if facts.unavailable:
        names = {"broker": "BROKER_URL", "results": "RESULT_URL", "ledger": "LEDGER_URL"}
        settings = ", ".join(dict.fromkeys(names.get(role, "LEDGER_URLS") for role in facts.roles))
        do = f"start it, or fix REDIS_URL or {settings}: `./run tasks config show` has them"
        yield Finding("fault", what, f"{facts.url}: {facts.unavailable}", do, "redis_away")
        return
    info = facts.info
    version = (
        f", {info.get('server_name', 'redis')} {info.get('valkey_version', info['redis_version'])}" if info else ""
    )
    slow = facts.round_trip_ms > SLOW_MS
    says = f"{facts.url} answers in {facts.round_trip_ms:.1f} ms{version}"
    yield Finding(
        "warning" if slow else "ok", what, says, "it is slow or far: every batch waits for it" if slow else ""
    )
    for refusal in facts.refused:
        yield Finding("warning", what, refusal, _allowing(refusal))
    if info:
        yield from _kind(what, info)
        yield from redis_storage.findings(what, info, is_ledger=facts.is_ledger, allows_eviction=allows_eviction)
        yield from _memory(what, info)
    if info and facts.is_ledger:
        yield from _persistence(what, info, facts.save)
        yield from _durability(what, info, facts.durability)
    if facts.clock_ahead_s is not None:
        yield clock("this machine", facts.clock_ahead_s)


def _allowing(refusal: str) -> str:
    if "config" in refusal.lower():
        return "set appendonly yes: then it is not asked. CONFIG GET also shows passwords, so don't allow it"
    return "allow this user to, or expect blanks in this report"


def _kind(what: str, info: Mapping[str, Any]) -> Iterator[Finding]:
    version = str(info.get("redis_version", ""))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if numbers and numbers < OLDEST_REDIS:
        yield Finding("fault", what, f"version {version} is too old", "use Redis 7.0 or later, or Valkey")
    if info.get("cluster_enabled"):
        yield Finding("fault", what, "is a Redis Cluster, which Celery can't use", "use a single server, or Sentinel")
    if info.get("role") == "slave":
        yield Finding("fault", what, "is a replica and takes no writes", "point the URL to the primary")


def _memory(what: str, info: Mapping[str, Any]) -> Iterator[Finding]:
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if not limit:
        says = f"uses {used / 2**20:,.0f} MiB and has no maxmemory"
        yield Finding("warning", what, says, "set one, so that it refuses before the machine runs out of memory")
        return
    share = used / limit
    sign: Sign = "fault" if share > MEMORY_FAULT else "warning" if share > MEMORY_WARNING else "ok"
    do = "" if sign == "ok" else "raise maxmemory, or lower SIGNALS_KEEP"
    yield Finding(sign, what, f"uses {share:.0%} of maxmemory {limit / 2**20:,.0f} MiB", do)


def _persistence(what: str, info: Mapping[str, Any], save: str | None) -> Iterator[Finding]:
    if info.get("aof_enabled"):
        yield Finding("ok", what, "keeps what it is told (appendonly)")
    elif save:
        yield Finding("ok", what, f"keeps what it is told now and then (save {save})", "appendonly yes loses less")
    elif save == "":
        yield Finding("warning", what, "keeps nothing: a restart forgets every state", "set appendonly yes")


def _durability(what: str, info: Mapping[str, Any], wanted: str) -> Iterator[Finding]:
    replicas = info.get("connected_slaves", 0)
    if wanted == "replica" and not replicas:
        yield unconfirmed(wanted, "no replica is connected")
    if wanted == "disk" and not info.get("aof_enabled"):
        yield unconfirmed(wanted, "appendonly is no")
    # Redis tells of replicas that count for min-replicas-to-write only where it is set.
    if replicas and "min_slaves_good_slaves" not in info:
        says = "takes writes also while its replicas don't hear them: a failover then loses these"
        yield Finding("warning", what, says, "`CONFIG SET min-replicas-to-write 1`, and in redis.conf")


def clock(whose: str, ahead_s: float) -> Finding:
    """Return the finding about a clock that is `ahead_s` seconds ahead of Redis's (negative: behind).

    It is a warning from more than `CLOCKS_APART_S` on. `whose` begins its text, such as "this machine".
    """
    if abs(ahead_s) <= CLOCKS_APART_S:
        return Finding("ok", "clocks", f"{whose} and Redis agree ({signed(ahead_s, 3)} s)")
    side = "ahead of" if ahead_s > 0 else "behind"
    says = f"{whose} is {abs(ahead_s):,.1f} s {side} Redis: ages and latencies are wrong"
    return Finding("warning", "clocks", says, "let NTP set both")


def strategies(chosen: Configuration) -> Finding:
    """Return what a strategies file holds, which can be used."""
    pools = chosen.routes()
    lanes = ", ".join(f"{pool.name} {len(pool.lanes)}" for pool in pools)
    count = sum(len(pool.strategies) for pool in chosen.pools.values())
    return Finding("ok", "strategies", f"{count} in {len(pools)} pools; lanes: {lanes}")


def queues(facts: QueueFacts, pools: Sequence[Pool]) -> Iterator[Finding]:
    """Yield the findings about what waits."""
    for pool in pools:
        waiting, lanes = facts.waiting.get(pool.name, 0), len(pool.lanes)
        many = waiting > lanes
        says = f"tasks: {waiting}, lanes: {lanes}"
        yield Finding("warning" if many else "ok", f"queue {pool.name}", says, "more workers" if many else "")
        if foreign := facts.foreign.get(pool.name):
            says = f"{foreign} of its oldest entries are tasks of others"
            yield Finding("warning", f"queue {pool.name}", says, "keep others out: a Redis of its own, or an ACL")
        if unreadable := facts.unreadable.get(pool.name):
            says = f"{unreadable} of its oldest entries are no Celery messages, which workers refuse"
            yield Finding("warning", f"queue {pool.name}", says, "find who writes there; keep them out with an ACL")
    if facts.astray:
        says = f"{facts.astray} tasks, to which no worker of ours listens"
        yield Finding("warning", "queue celery", says, "find who sends tasks without a queue")


def ledger(facts: LedgerFacts, chosen: Configuration | None, namespace: str) -> Iterator[Finding]:
    """Yield the findings about the ledger; `chosen` is the strategies file, None: it is invalid."""
    pools = chosen.routes() if chosen else ()
    yield from map(_misplaced, facts.misplaced)
    if chosen:
        yield from _version_in_use(facts, chosen)
    yield from _lanes(facts, pools, namespace)
    if facts.deadletters and facts.deadletter_age_s is not None:
        says = f"{facts.deadletters:,}, the newest {age(facts.deadletter_age_s)} old"
        yield Finding("warning", "dead letters", says, "`./run tasks deadletters list` says why")
    else:
        yield Finding("ok", "dead letters", "none")
    for finding in workers(facts.workers, pools):
        # Of the queues that are in force ingest itself tells; those of another file hold nothing.
        if finding.name != "queue_unserved" or not _is_of_another_file(facts, chosen):
            yield finding


def _misplaced(of: MisplacedLedger) -> Finding:
    what = "ledger" if of.wanted is None else f"ledger of shard {of.wanted}"
    held = f"the ledger of shard {of.shard} of {of.shards}" if of.shards else "the one ledger of all shards"
    do = "put LEDGER_URLS right, or stop all shards and move it with `./run ingest move-ledger`"
    return Finding("fault", what, f"{of.url} holds {held}", do)


def _is_of_another_file(facts: LedgerFacts, chosen: Configuration | None) -> bool:
    return chosen is not None and facts.version not in {"", chosen.version} and facts.file_version != chosen.version


def _version_in_use(facts: LedgerFacts, chosen: Configuration) -> Iterator[Finding]:
    if facts.version == chosen.version:
        yield Finding("ok", "configuration", f"version {facts.version} is in force, the file's")
    elif facts.version and facts.file_version == chosen.version:
        says = f"version {facts.version} is in force, values set at run time: {len(facts.overlay):,}"
        yield Finding(
            "ok",
            "configuration",
            says,
            "`./run tasks strategies get` shows it, `./run tasks strategies history` says why",
        )
    elif facts.version:
        says = f"version {facts.version} is in force, not the file's {chosen.version}"
        yield Finding(
            "warning", "configuration", says, "a start of ingest takes the file, and what was set at run time stays"
        )
    for version in facts.lost:
        says = f"version {version} is in use, and its content can't be read (the key configurations)"
        do = "ingest writes it back while it leads: start it, or see what it logs"
        yield Finding("fault", "configuration", says, do)
    yield from runtime_values(chosen, facts.overlay)


def _lanes(facts: LedgerFacts, pools: Sequence[Pool], namespace: str) -> Iterator[Finding]:
    for shard, epoch in facts.epochs.items():
        if not epoch:
            says = f"shard {shard} has no epoch: ingest never ran in namespace {namespace}"
            yield Finding("warning", "lanes", says, f"start `{invocation.command('ingest')}`, or fix NAMESPACE")
    lanes = ", ".join(f"{pool.name} {facts.lanes.get(pool.name, 0)} of {len(pool.lanes)}" for pool in pools)
    if any(facts.epochs.values()):
        epochs = ", ".join(epoch for epoch in facts.epochs.values() if epoch)
        yield Finding("ok", "lanes", f"epoch {epochs}; with commits: {lanes}")


def workers(seen: Sequence[LiveWorker], pools: Sequence[Pool]) -> Iterator[Finding]:
    """Yield the findings about the workers."""
    of_pools = [worker for worker in seen if not runs_sweeps_alone(worker.queues)]
    if of_pools:
        processes = sum(worker.processes for worker in of_pools)
        yield Finding("ok", "workers", f"{len(of_pools)}, with processes: {processes}")
    if sweeping := [worker for worker in seen if RESEARCH_QUEUE in worker.queues]:
        processes = sum(worker.processes for worker in sweeping)
        yield Finding("ok", "workers of sweeps", f"{len(sweeping)}, with processes: {processes}")
    yield from workforce(
        [worker.queues for worker in of_pools], [pool.name for pool in pools], invocation.command("celery")
    )
    yield from old_workers(seen, pools)
    versions = sorted({worker.version for worker in seen})
    if len(versions) > 1:
        says = f"run different versions: {', '.join(versions)}"
        yield Finding("warning", "workers", says, "fine during an update; else restart the older ones")
    for worker in seen:
        if abs(worker.clock_ahead_s) > CLOCKS_APART_S:
            yield clock(f"worker {worker.name}", worker.clock_ahead_s)


def once(*sources: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings of all sources, without those that an earlier source has yielded already."""
    said = set[str]()
    # What is well has no name.
    yielded = set[Finding]()
    for source in sources:
        names = set[str]()
        for finding in source:
            if finding.name not in said and finding not in yielded:
                yielded.add(finding)
                yield finding
            names.add(finding.name)
        said |= names - {""}


def nats(facts: NatsFacts) -> Iterator[Finding]:
    """Yield the findings about NATS and, behind it, ingest."""
    if facts.unavailable:
        yield Finding(
            "fault",
            "NATS",
            f"{facts.url}: {facts.unavailable}",
            "start it, or fix NATS_URL: `./run tasks config show` has it",
            "nats_away",
        )
        return
    jetstream = "with JetStream" if facts.jetstream else "without JetStream"
    payload = f"messages up to {facts.max_payload / 2**20:.3g} MiB"
    yield Finding("ok", "NATS", f"{facts.url}: version {facts.version}, {jetstream}, {payload}")
    if not facts.ingest:
        yield Finding("fault", "ingest", "does not answer on NATS", f"start `{invocation.command('ingest')}`")
    for status in facts.ingest:
        what = f"ingest (shard {status.shard})" if status.shard else "ingest"
        full = status.held_bytes / status.bound_bytes > MEMORY_WARNING if status.bound_bytes else False
        says = f"answers, and holds {status.held_bytes / 2**20:,.1f} of {status.bound_bytes / 2**20:,.0f} MiB"
        do = "workers can't keep up: start more, or events are dropped" if full else ""
        yield Finding("warning" if full else "ok", what, says, do)


def port(facts: PortFacts) -> Finding:
    """Return the finding about one of our ports on this machine."""
    what = f"port ({facts.setting})"
    if facts.held_by == "other":
        says = f"{facts.address} is held by another program: ours takes a free one instead"
        return Finding("warning", what, says, f"set {facts.setting} to another one")
    if facts.unwell and not facts.findings:
        says = f"{facts.address} is ours and says that it is not ready: {', '.join(facts.unwell)}"
        return Finding("warning", what, says, f"http://{facts.address}/ready has the details")
    says = {
        "ours": "is ours" if facts.unwell else "is ours and ready",
        "nobody": "is free",
        "any": "a free one at each start",
    }[facts.held_by]
    return Finding("ok", what, f"{facts.address} {says}" if facts.held_by != "any" else says)
