"""The stream that JetStream keeps the frames in: created, or checked, before anything is read from it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import stamina
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext, api
from nats.js.errors import BadRequestError, NotFoundError, ServerError, ServiceUnavailableError

from ingest.sources.passing import StreamEndpoint
from ingest.sources.resume import StreamSnapshot, StreamTail
from ingest.transport import stream_state
from tasks.errors import SettingsError
from tasks.settings import Settings

#: JetStream's code for subjects that another stream has already.
OVERLAP = 10065
#: How long a stream remembers the ids of frames, in seconds: longer than a server takes to come back. What a feed sends
#: again later is stored twice, and ingest drops it. Each id takes memory, and is looked up when the server starts.
REMEMBERED_S = 20.0
#: How long the server may take to say where the stream ends.
ANSWER_S = 2.0
log = structlog.get_logger()


async def prepare(client: Client, settings: Settings, read: Sequence[str] = ()) -> StreamSnapshot:
    """Return the stream, made if it is not there; `read` are the subjects that are read of it, by default all frames'.

    Raises SettingsError for what a person must fix, and NATS's errors.
    """
    jetstream = client.jetstream()
    subjects = wanted_subjects(settings)
    try:
        info = await _find_or_create(jetstream, settings, subjects)
    except ServiceUnavailableError as error:
        if not _is_absent(error):  # it is there, and has no leader at this moment, say
            raise
        raise SettingsError(
            "INGEST_SOURCE is jetstream, but this NATS server has no JetStream (nats-server -js)"
        ) from None
    except BadRequestError as error:
        if error.err_code != OVERLAP:
            raise
        raise SettingsError(
            f"another stream has {settings.nats_subjects} already: "
            "name it in INGEST_STREAM, or choose other NATS_SUBJECTS"
        ) from None
    except ServerError as error:
        raise SettingsError(
            f"JetStream can't make the stream {settings.ingest_stream}: {error.description} (INGEST_STREAM_MAX_BYTES?)"
        ) from None
    _check(info.config, subjects)
    return StreamSnapshot(
        settings.ingest_stream,
        info.created or datetime.min.replace(tzinfo=UTC),
        info.state.first_seq,
        info.state.last_seq,
        shared=is_shared(info.config, read or subjects),
    )


async def stored_at_ns(client: Client, stream: StreamSnapshot, tail: StreamTail) -> int | None:
    """Return when the message was stored that has the number of the tail's frame now; None: there is none, or no frame.

    Raises NATS's errors.
    """
    if tail.frame is None:
        return None
    try:
        message = await client.jetstream().get_msg(stream.name, tail.frame.seq)
    except NotFoundError:
        return None
    return None if message.time is None else int(message.time.timestamp() * 1e6) * 1_000


async def kept(client: Client, stream: StreamSnapshot, tail: StreamTail) -> int | None:
    """Return up to where the stream still holds what was read; None: it has lost nothing of it.

    Raises NATS's errors.
    """
    if tail.is_held(stream, await stored_at_ns(client, stream, tail)):
        return None
    # Others may have got the numbers already; they were stored later than what had been read.
    end_seq = await end_before(client, stream, tail.frame.stored_at_ns) if tail.frame else stream.last_seq
    kept_seq = min(end_seq, stream.last_seq)
    log.warning("the stream has lost frames that were read", count=max(0, tail.seq - kept_seq), after=kept_seq)
    return kept_seq


async def end_before(client: Client, stream: StreamSnapshot, time_ns: int) -> int:
    """Return the number of the last message that was stored before a moment; 0: there is none. Raises NATS's errors."""
    jetstream = client.jetstream()
    made = await jetstream.add_consumer(
        stream.name,
        api.ConsumerConfig(
            name=f"ingest-{client.new_inbox().rpartition('.')[2]}",
            deliver_policy=api.DeliverPolicy.BY_START_TIME,
            opt_start_time=datetime.fromtimestamp(0, UTC) + timedelta(microseconds=time_ns // 1_000),
            ack_policy=api.AckPolicy.NONE,
            inactive_threshold=10.0,
            mem_storage=True,
            num_replicas=1,
        ),
    )
    await jetstream.delete_consumer(stream.name, made.name)
    return made.delivered.stream_seq if made.delivered else 0


async def refuse_strays(client: Client, settings: Settings, after_seq: int) -> None:
    """Raise SettingsError where the stream holds frames behind a number that no shard would read; and what NATS raises."""
    jetstream, subjects = client.jetstream(), settings.frame_subjects
    strays: list[str] = []
    for pattern in subjects.all:
        info = await jetstream.stream_info(settings.ingest_stream, subjects_filter=pattern)
        strays += sorted(each for each in info.state.subjects or {} if not subjects.names(each))
    for subject in strays:
        try:
            last = await jetstream.get_last_msg(settings.ingest_stream, subject)
        except NotFoundError:
            continue
        if (last.seq or 0) > after_seq:
            raise SettingsError(
                f"the stream {settings.ingest_stream} holds frames on {subject} that are not read, and with "
                f"NATS_PARTITIONS {subjects.partitions} no shard reads them: read them under the setting with which they "
                f"were published, or remove them: nats stream purge {settings.ingest_stream} --subject '{subject}'"
            )


async def end_of(client: Client, name: str) -> StreamEndpoint | None:
    """Return the last message of a stream, whoever reads it; None: it does not say. Raises NATS's errors."""
    answer = await client.request(f"$JS.API.STREAM.INFO.{name}", timeout=ANSWER_S)
    state = stream_state.read_info(answer.data)
    if isinstance(state, str) or not (state.last_seq and state.last_ns):
        return None
    return StreamEndpoint(state.last_seq, state.last_ns)


def wanted_subjects(settings: Settings) -> list[str]:
    """Return the subjects of all frames, of NATS_SUBJECTS one by one."""
    return list(settings.frame_subjects.all)


def _is_absent(error: Exception) -> bool:
    return isinstance(error, ServiceUnavailableError) and error.code is None


@stamina.retry(on=_is_absent, attempts=6, timeout=3.0, wait_initial=0.1)
async def _find(jetstream: JetStreamContext, name: str) -> api.StreamInfo:
    # For a moment after its start a server answers as one without JetStream does.
    return await jetstream.stream_info(name)


async def _find_or_create(jetstream: JetStreamContext, settings: Settings, subjects: list[str]) -> api.StreamInfo:
    try:
        return await _find(jetstream, settings.ingest_stream)
    except NotFoundError:
        info = await jetstream.add_stream(
            name=settings.ingest_stream,
            subjects=subjects,
            retention=api.RetentionPolicy.LIMITS,
            storage=api.StorageType.FILE,
            discard=api.DiscardPolicy.OLD,
            max_age=settings.ingest_stream_max_age_s,
            max_bytes=settings.ingest_stream_max_bytes,
            num_replicas=settings.ingest_stream_replicas,
            duplicate_window=REMEMBERED_S,
        )
        log.info("stream created", stream=settings.ingest_stream, subjects=subjects)
        return info


def _check(config: api.StreamConfig, subjects: list[str]) -> None:
    if config.retention not in {None, api.RetentionPolicy.LIMITS}:
        raise SettingsError(
            f"the stream {config.name} forgets what one consumer has read (retention {config.retention}): it is no log"
        )
    missing = [each for each in subjects if not take(config.subjects or (), each)]
    if missing:
        both = ",".join([*(config.subjects or ()), *missing])
        raise SettingsError(
            f"the stream {config.name} does not take {', '.join(missing)} (NATS_SUBJECTS), and may be somebody else's; "
            f'to have it take both: nats stream edit {config.name} --subjects "{both}"'
        )


def is_shared(config: api.StreamConfig, subjects: Sequence[str]) -> bool:
    """Whether a stream may hold messages on other subjects than these."""
    taken = config.subjects or ()
    return bool(config.sources) or not all(take(subjects, each) for each in taken)


def take(subjects: Iterable[str], subject: str) -> bool:
    """Return whether one of some subjects, which may hold wildcards, covers another."""
    return any(covers(each, subject) for each in subjects)


def covers(wider: str, subject: str) -> bool:
    """Whether every message of `subject`, which may have wildcards, is one of `wider`."""
    ours, theirs = subject.split("."), wider.split(".")
    for at, part in enumerate(theirs):
        if part == ">":
            return len(ours) > at
        if at >= len(ours) or ours[at] == ">" or part not in {"*", ours[at]}:
            return False
    return len(ours) == len(theirs)
