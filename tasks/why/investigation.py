"""Finds a signal, what it ran under and what led to it; asks the ledger, files and NATS."""

import asyncio
from pathlib import Path
from typing import NamedTuple

from tasks import configuration, invocation
from tasks.errors import LedgerError, ServerUnavailableError
from tasks.events import Event
from tasks.frames.plausibility import FrameReader, PlausibilityLimits
from tasks.history.input_options import ALL
from tasks.ledger.reader import LedgerReader
from tasks.protocol.utc_time import utc_iso_ms
from tasks.settings import Settings, frame_limits
from tasks.why import answer, configured, known, recording_frames, stored_signals
from tasks.why.answer import Answer
from tasks.why.id_search import IdSearch
from tasks.why.known import KnownConfigurations
from tasks.why.question import Question
from tasks.why.signal_replay import SignalReplay
from tasks.why.timeline import Timeline
from tasks.why.unseen import of_letters


class Request(NamedTuple):
    """What is asked, and where to look."""

    identity: str
    #: Recordings with the events; none: the stream, or nothing.
    paths: tuple[Path, ...] = ()
    from_stream: bool = False
    #: A file with the signal, as `backtest --signals` writes it, instead of the ledger.
    signals_file: Path | None = None


class FoundSignal(NamedTuple):
    """A signal, and what is known of the configurations that it ran under."""

    question: Question
    known: KnownConfigurations


def investigate(settings: Settings, request: Request) -> Answer:
    """Return the answer. Raises LedgerError: there is no such signal; and what the sources raise."""
    limits = frame_limits(settings)
    question, found = _find(settings, request, limits)
    if not request.paths and not request.from_stream:
        return answer.without_decision(
            question, "no_source", "", found.answer, [*found.notes, invocation.as_called(_how(settings, request))]
        )
    emitter = configured.emitter_of(found.of_signal, question.head)
    lane, strategy_of = emitter.lane(question.head), configured.ConfiguredStrategy(emitter, found.every)
    timeline = Timeline(found.of_signal.version, lane, found.audit, found.seeded)
    unseen = of_letters(found.letters, lane.pool.name, emitter.name)
    replay = SignalReplay(question, lane, strategy_of, timeline, limits, unseen)
    notes = [*found.notes, *unseen.notes, *_run(settings, request, replay), *timeline.missing]
    source = ", ".join(map(str, request.paths)) or f"stream {settings.ingest_stream}"
    if replay.decision is None:
        return answer.without_decision(question, "gone", source, found.answer, [_gone(replay, source), *notes])
    return answer.of_decision(question, replay.decision, source, found.answer, notes)


def _run(settings: Settings, request: Request, replay: SignalReplay) -> list[str]:
    """Run the replay on its source; return what a person should know of that."""
    notes: list[str] = []
    of = replay.question.head.trigger
    if request.paths:
        options = ALL._replace(symbol=of.symbol, venue=of.venue)
        for frame in recording_frames.read(request.paths, replay.lane.needs, options, notes.append):
            if replay.take(frame):
                break
        return notes
    from tasks.why import stream_frames  # noqa: PLC0415 brings NATS, which recordings do not need

    held = asyncio.run(stream_frames.read(settings, replay.lane.needs, replay.take))
    if held.first_seq > 1:
        notes.append(f"the stream begins with message {held.first_seq:,}: a state from before that is not known")
    return notes


def _how(settings: Settings, request: Request) -> str:
    """Return what to do where no source was given."""
    if settings.ingest_source == "jetstream":
        return f"say where its events are: ./run tasks why {request.identity} --from RECORDING, or --stream"
    return (
        "with INGEST_SOURCE=core nothing keeps events: if there is a recording, ./run tasks why "
        f"{request.identity} --from RECORDING; with INGEST_SOURCE=jetstream, as in ./run demo --source jetstream, "
        "a stream keeps them"
    )


def _gone(replay: SignalReplay, source: str) -> str:
    of = replay.question.head
    event = (
        f"{of.trigger.venue} {of.trigger.symbol} {of.trigger.kind} {of.trigger.id} of {utc_iso_ms(of.event_time_ms)}"
    )
    by = replay.passed_by
    behind = (
        f"it goes on with {by.id} of {utc_iso_ms(by.time_ms)}"
        if by
        else f"{replay.events:,} events of its lane are there"
    )
    return f"{source} lacks the event that it answers, {event}: {behind}"


# The signal


def _find(settings: Settings, request: Request, limits: PlausibilityLimits) -> FoundSignal:
    if request.signals_file is not None:
        question = stored_signals.in_file(request.signals_file, request.identity)
        if question is None:
            raise LedgerError(f"there is no signal {request.identity} in {request.signals_file}")
        return FoundSignal(question, known.in_file(settings, question))
    missing = ""
    try:
        reader = LedgerReader.reach(settings)
    except ServerUnavailableError as error:
        if not request.paths:
            raise
        missing = str(error)
    else:
        stored = stored_signals.in_ledger(reader, request.identity)
        if stored is not None:
            return FoundSignal(stored, known.in_ledger(settings, reader, stored))
        missing = f"namespace {settings.namespace!r} holds no signal {request.identity}"
    question = _search(settings, request, limits, missing)
    found = known.in_file(settings, question)
    return FoundSignal(question, found._replace(notes=[missing, *found.notes]))


def _search(settings: Settings, request: Request, limits: PlausibilityLimits, missing: str) -> Question:
    """Return the question about a signal that is stored nowhere, by the event of the recordings that has its id.

    Raises LedgerError: there is no such event.
    """
    if not request.paths:
        raise LedgerError(missing)
    chosen = configuration.read(settings.strategies_file)
    try:
        search = IdSearch(request.identity, ((each.pool, each.signal_name) for each in configured.emitters(chosen)))
    except ValueError:
        raise LedgerError(f"{missing}; and {request.identity!r} is no id of a signal, which is a UUID") from None
    reader = FrameReader(limits, chosen.kinds)
    for frame in recording_frames.read(request.paths, lambda _: True):
        event = reader.read(frame.raw, frame.subject, frame.seq, frame.at_ns)
        if isinstance(event, Event) and (found := search.match(event)):
            return Question.about(request.identity, found.strategy, event, chosen.version)
    files = ", ".join(map(str, request.paths))
    raise LedgerError(f"{missing}; and no event of {files} would give it by {settings.strategies_file}")
