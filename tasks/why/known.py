"""What is known of the configurations that a signal ran under: from the ledger, or else from the strategies file."""

from contextlib import suppress
from typing import NamedTuple

from tasks import configuration
from tasks.configuration import Configuration, registry
from tasks.configuration.history import ConfigurationChange
from tasks.configuration.overlay import ALL, Overlay
from tasks.errors import LedgerError
from tasks.ledger import pager
from tasks.ledger.configurations import ConfigurationStore
from tasks.ledger.reader import LedgerReader
from tasks.ops.states import ResetResult, StateStore
from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import DeadLetter
from tasks.protocol.findings import age
from tasks.protocol.utc_time import utc
from tasks.settings import Settings
from tasks.why.answer import ConfigurationAnswer
from tasks.why.configured import emitter_of
from tasks.why.question import Question
from tasks.why.timeline import ran_under
from tasks.why.unseen import UNSEEN


class KnownConfigurations(NamedTuple):
    """The configurations of a run, and which of them is the signal's."""

    of_signal: Configuration
    every: dict[str, Configuration]
    #: The ledger's audit, oldest first.
    audit: list[bytes]
    answer: ConfigurationAnswer
    notes: list[str]
    #: The version of the states that were put in by `state seed` before the signal; empty: none were.
    seeded: str = ""
    #: Those that tell of events which a strategy did not see.
    letters: tuple[DeadLetter, ...] = ()


def in_file(settings: Settings, question: Question) -> KnownConfigurations:
    """Return the strategies file's configuration, as that of every event. Raises SettingsError."""
    chosen = configuration.read(settings.strategies_file)
    notes = [f"the configuration is that of {settings.strategies_file}, as it is now"]
    if question.packed and question.head.config_version != chosen.version:
        notes[0] += f" (version {chosen.version}); the signal ran under {question.head.config_version}"
    return KnownConfigurations(chosen, {chosen.version: chosen}, [], ConfigurationAnswer(chosen.version, "file"), notes)


def in_ledger(settings: Settings, reader: LedgerReader, question: Question) -> KnownConfigurations:
    """Return the configurations of the live run. Raises LedgerError: the ledger has lost that of the signal."""
    store, version = ConfigurationStore(settings), question.head.config_version
    chosen = store.read(version)
    every = {version: chosen}
    audit = [line for _, line in reader.entries(reader.keys.audit, b"line")]
    history = store.history()
    for other in ran_under(audit) - {version}:
        with suppress(LedgerError):  # one that the lane never ran under is not missed
            every[other] = store.read(other)
    name = question.head.strategy
    with suppress(LedgerError):  # `investigate` says it, where it matters
        name = emitter_of(chosen, question.head).name
    change = _put_in_force(history, version, question.committed_ms)
    answer = ConfigurationAnswer(version, "ledger")
    if change is not None:
        at_run_time = _of_strategy(change.overlay or (), name)
        answer = ConfigurationAnswer(version, "ledger", change.author, change.reason, change.at_ms, at_run_time)
    notes = [] if change else [f"the history of the configuration does not tell who put {version} in force"]
    resets = _resets(settings, question, name)
    seeded = [_in_force_at(history, done.at_ms) or version for done in resets if done.reset.files]
    notes += dict.fromkeys(_describe(done, name) for done in resets)
    return KnownConfigurations(chosen, every, audit, answer, notes, "".join(seeded[-1:]), _letters(reader))


def _letters(reader: LedgerReader) -> tuple[DeadLetter, ...]:
    """Return the dead letters that may tell of unseen events; reading all others would take seconds."""
    packed = (fields.get(b"letter", b"") for _, fields in pager.entries(reader.clients, reader.keys.deadletters))
    return tuple(dead_letters.read(each) for each in packed if any(word in each for word in UNSEEN))


def _in_force_at(history: list[ConfigurationChange], at_ms: int) -> str:
    return next((change.version for change in reversed(history) if change.at_ms <= at_ms), "")


def _put_in_force(history: list[ConfigurationChange], version: str, committed_ms: int) -> ConfigurationChange | None:
    """Return the last change to a version before a signal was committed; else the first."""
    changes = [change for change in history if change.version == version]
    before = [change for change in changes if change.at_ms <= committed_ms]
    return before[-1] if before else changes[0] if changes else None


def _of_strategy(overlay: Overlay, strategy: str) -> list[str]:
    return [
        str(value)
        for value in overlay
        if value.strategy in {"", ALL} or strategy in {value.strategy, registry.run_name(value.strategy)}
    ]


def _resets(settings: Settings, question: Question, name: str) -> list[ResetResult]:
    """Return what was done to such states of `name` until the signal, oldest first."""
    of = question.head

    def concerns(done: ResetResult) -> bool:
        reset = done.reset
        return (
            reset.strategy in {"", name}
            and reset.venue in {"", of.trigger.venue}
            and reset.symbol in {"", "all", of.trigger.symbol}
            and done.at_ms <= question.committed_ms
        )

    return list(filter(concerns, StateStore(settings).history()))


def _describe(done: ResetResult, name: str) -> str:
    """Return what a replay does not know: between which events it was."""
    what = f"states of {name} were"
    by = f"at {utc(done.at_ms)} by {done.reset.author}"
    if done.reset.files:
        return f"{what} seeded {by} from {', '.join(done.reset.files)}: the replay has them if --from names these too"
    if done.reset.idle_s:
        return f"symbols idle for {age(done.reset.idle_s)} were removed {by}: if this was one, the replay goes on with its states"
    return f"{what} reset {by}: the replay goes on with them"
