"""The drawings and words of the docs are those of the code."""

import ast
import re
from collections.abc import Iterator

import pytest

from compose.local.processes import ROOT
from tests import draw_packages
from tests.unit.project.test_house import TOPS, files, modules

#: Files that hold words.
WORDS = {".py", ".md", ".lua", ".yaml", ".js", ".html", ".toml", ".txt", ".example", ".json", ""}
#: They name the words of before.
EXEMPT = {"CHANGELOG.md", "tests/unit/project/test_docs.py"}
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")


def test_the_drawings_of_the_packages_are_current():
    text = draw_packages.PAGE.read_text(encoding="utf-8")
    assert text.count("```mermaid") == 2
    assert draw_packages.page(text) == text, "python -m tests.draw_packages"


def test_every_file_that_the_architecture_names_is_there():
    text = draw_packages.PAGE.read_text(encoding="utf-8")
    named = re.findall(r"`((?:tasks|ingest|compose|tests)/[\w/]+\.(?:py|lua|toml))`", text)
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_the_glossary_is_sorted_and_says_each_word_once():
    words = re.findall(r"^\| ([^|]+) \| (?!meaning)", GLOSSARY, re.MULTILINE)
    assert words == sorted(set(words))
    assert {"lane", "batch", "record", "ledger", "epoch", "frontier", "pool", "shard", "notice", "exactly once"} <= set(
        words
    )


#: Words of before that the field says otherwise, and what it says. Names are read word by word, so that `_letterbox`
#: and `on_its_way` are found as text is.
GONE = {
    r"rarely(?!-)": "log throttle",
    "outbox": "ledger reader",
    "letterbox": "dead letter store",
    "vitals": "health",
    "presence": "heartbeat",
    "crews?": "workforce",
    "teams?": "pool group",
    "crowd(ed|ing|s)?": "contention",
    "surroundings": "server probe",
    "intake": "frame handler",
    "sturdy": "reconnecting",
    r"(is|are|was|were|be|been|while|goes?|gone|stays?|hours?|seconds?) away": "unavailable",
    "a fault of ours": "unexpected error",
    "machine s fault": "fatal error",
    "trying for ever": "retrying",
    "anew": "again, from empty, restart",
    "in vain": "without completing",
    "on (its|their) way": "in flight",
    "under way": "in flight",
    "shares? out": "partition",
    "mended": "fixed",
    "spared": "excluded",
    "(be)?came of": "result",
    "who gets in": "authentication and TLS",
    "lose nothing": "JetStream source",
    "honest limits": "known limitations",
    "what that keeps when it dies": "durable on crash",
    "times its throughput": "our speed-up",
}
#: Names that are gone from Python, as they stand there, and what is said instead.
GONE_NAMES = {
    "_in_force": "_active_configuration",
    "away": "unavailable, or a direction",
    "on_their_way": "in_flight_tasks",
    "start_anew": "reset",
    "take_back": "release_start",
    "tasks_of": "plan_tasks",
    "InForce": "ActiveConfiguration",
    "ServerAwayError": "ServerUnavailableError",
    "StateRun": "StrategyRun",
    "UnderWay": "TaskInFlight",
}
#: Names of classes and functions that say too little, and what is said instead.
GONE_DEFINITIONS = {
    "Actor": "SimulatedSymbol",
    "Alone": "StandaloneStrategy",
    "Arrival": "FrameMetadata",
    "Assembly": "Components",
    "Begun": "BatchStart",
    "Beside": "ForkSafeLoopThread",
    "Bounds": "LaneLimits, InFlightLimits",
    "Brake": "MemoryGuard",
    "Changes": "ConfigurationStore",
    "Chosen": "SignalFilter, DeadLetterFilter, StateFilter",
    "Claimed": "EpochClaim",
    "Conditions": "RunOptions",
    "Connected": "ConnectionHolder",
    "Connection": "FeedConnection",
    "Done": "BatchResult",
    "Edited": "EditResult",
    "Ended": "LastStrike",
    "Found": "StoredField",
    "Fresh": "StreamActivity",
    "Front": "WorkerStatusServer",
    "Heard": "StreamActivity",
    "Item": "LaneEvent",
    "Jumps": "SequenceGaps",
    "Kept": "SymbolEntry",
    "Keys": "LedgerKeys",
    "Known": "SymbolPrices",
    "Lately": "RecentCount",
    "Letter": "StoredLetter",
    "Live": "PageState",
    "Measured": "ContenderRun",
    "Measures": "BookMeasures",
    "Merged": "MergedConfiguration",
    "Message": "OutgoingSignal, QueuedTask",
    "Name": "StateField",
    "Nats": "NatsConnection",
    "Noted": "RunPosition",
    "Notices": "CommitNotices",
    "Offered": "OfferResult",
    "Opening": "PendingConsumer",
    "Pace": "BatchTimings",
    "Parts": "Connectivity",
    "Passed": "GateHistory",
    "Patience": "SilenceTimeouts, LinkTimeouts",
    "Place": "RunProgress",
    "Pull": "PullRequest",
    "Ran": "EngineRun",
    "Read": "LastFrame",
    "Reading": "LanePositions",
    "Receipt": "ReceiveDecision",
    "Refusals": "RedisRefusals",
    "Returns": "ForwardReturns",
    "RoundTrip": "RttEstimator",
    "Run": "BatchRun",
    "Running": "RunningBatch",
    "Said": "StrategyOutput",
    "Saved": "SavedState",
    "Seen": "ServerStats",
    "Share": "SymbolShard",
    "Shown": "DisplayedSignal",
    "Side": "BookSide, SimulatedSide",
    "Silent": "SilentStream",
    "Size": "SuiteSize",
    "Skipped": "SkippedFrame",
    "Spared": "ExcludedEvents",
    "Spoken": "SignalRow",
    "Step": "CursorStep",
    "Stored": "StoredOffsets",
    "Struck": "StrikeNotice",
    "Survey": "RecordingOverview",
    "Tail": "EntryStream",
    "Tally": "Counters",
    "Traced": "TracedEvent",
    "Tried": "StrategyTrial",
    "Try": "RetryAttempt",
    "Verdict": "RetryResult",
    "Watched": "WatchedProcess",
    "caught": "extract_trace",
    "compared": "count_forgotten",
    "condemn": "quarantine",
    "delivering": "confirming_publishes",
    "fell": "is_behind",
    "judge": "classify",
    "look": "poll",
    "own": "record_own",
    "see": "observe",
    "tell": "record",
    "uncertain_tail": "tail_to_verify",
    "untold": "doubt",
}
#: Names that installations match: of findings and alerts.
FIXED = re.compile(r"(nats|redis|\{part\})_?away", re.IGNORECASE)
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
#: Where a word of a name begins: `aWord`, `HTTPServer`.
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def words_of(name: str) -> str:
    return " ".join(HUMP.sub("_", name).lower().split("_")).strip()


def words_gone(text: str) -> Iterator[str]:
    """Yield the words of the table that stand in a text, in names or between them, also across lines."""
    said = " ".join(re.findall(r"[\w-]+", IDENTIFIER.sub(lambda found: words_of(found[0]), FIXED.sub(" ", text))))
    return (found[0] for found in re.finditer(rf"\b({'|'.join(GONE)})\b", said))


def names_gone(tree: ast.AST) -> Iterator[str]:
    """Yield the names that are gone, and those that no class or function has any more."""
    for node in ast.walk(tree):
        names = [getattr(node, field, None) for field in ("id", "attr", "arg", "name")]
        yield from (name for name in names if name in GONE_NAMES)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from {node.name.strip("_")} & GONE_DEFINITIONS.keys()


def test_words_that_make_a_reader_stop_are_gone():
    found = []
    for path in files():
        name = str(path.relative_to(ROOT))
        if "vendor" not in name and name not in EXEMPT:
            text = path.read_text(encoding="utf-8") if path.suffix in WORDS else ""
            found += [f"{name}: {words}" for words in words_gone(f"{name} {text}")]
    assert found == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("self._letterbox = 1", ["letterbox"]),
        ("test_it_is_on_its_way_now", ["on its way"]),
        ("it begins\nanew", ["anew"]),
        ("scripts/presence.lua", ["presence"]),
        ("straightaway", []),
    ],
)
def test_a_word_is_found_in_names_and_paths_and_across_lines(text: str, found: list[str]):
    assert list(words_gone(text)) == found


def test_names_that_say_too_little_are_gone():
    found = [f"{module}.{name}" for module, _, tree in modules(*TOPS, "tests") for name in names_gone(tree)]
    assert found == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("self._in_force = 1", ["_in_force"]),
        ("def f(away): pass", ["away"]),
        ("class _Tally: pass", ["Tally"]),
        ("store.in_force()", []),
    ],
)
def test_a_name_is_found_where_it_is_defined_or_used(source: str, found: list[str]):
    assert list(names_gone(ast.parse(source))) == found
