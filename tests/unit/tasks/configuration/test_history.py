"""Which changes are in force: a rollback undoes the newest one that is not undone yet."""

import msgspec
import pytest

from tasks.configuration.history import FILE, INGEST, ConfigurationChange, HistoryReplay
from tasks.errors import LedgerError

#: Words of a history: "file", "set", "old:set" and "old:file" as an earlier release wrote them, "back" for a rollback,
#: "to:2" for one to the version of the second entry, "old:to:2" for one of an earlier release, "lost" for a lost Redis.


def history(*words: str) -> list[ConfigurationChange]:
    """Make what these words would have left; the version of each is v and its number, where it is no rollback."""
    made: list[ConfigurationChange] = []
    for number, word in enumerate(words, start=1):
        old, what = word.startswith("old:"), word.removeprefix("old:")
        change = ConfigurationChange(
            f"v{number}", made[-1].version if made else "", "ann", "try", number, None if old else ()
        )
        restored: ConfigurationChange | None = None
        if what == "back":
            restored = HistoryReplay(made).undone()[1]
        elif what.startswith("to:"):
            restored = made[int(what[3:]) - 1]
        author = {"file": FILE, "lost": INGEST}.get(what, "ann")
        version = restored.version if restored else change.version
        reason = f"rollback to {version}" if restored else "try"
        restores = restored.entry if restored and not old else ""
        made.append(
            ConfigurationChange(
                version, change.previous, author, reason, number, change.overlay, "", restores, f"{number}-0"
            )
        )
    return made


@pytest.mark.parametrize(
    ("words", "in_force"),
    [
        ("file", "1"),
        ("file set", "1 2"),
        ("file set set back", "1 2"),
        ("file set set back back", "1"),
        ("file set set back set back", "1 2"),
        ("file set set back set back back", "1"),
        ("file set set set to:2", "1 2"),
        ("file set set set to:2 back", "1"),
        ("file set set back to:3", "1 2 3"),
        ("file set set back to:3 back", "1 2"),
        ("file set file set back", "1 2"),
        ("file set file set back back", "1"),
        ("file set file set to:3", "1 2"),
        ("file set lost set back", "3"),
        ("old:file old:set old:set old:to:2 back", "1"),
        ("old:file old:set old:set file set back", "1 2 3"),
        ("old:file old:set old:set file set back back", "1 2"),
        ("old:file old:set old:file old:set file set back back", "3"),
    ],
)
def test_a_rollback_undoes_the_newest_change_that_is_in_force(words: str, in_force: str):
    entries = [change.entry.partition("-")[0] for change in HistoryReplay(history(*words.split())).in_force()]
    assert entries == in_force.split()


@pytest.mark.parametrize("words", ["file", "file file", "file set back", "file set lost", "old:file old:set old:file"])
def test_where_nothing_is_left_to_undo_that_is_told(words: str):
    with pytest.raises(LedgerError, match="there is no earlier configuration"):
        HistoryReplay(history(*words.split())).undone()


def test_a_version_is_found_where_it_was_in_force_last():
    replay = HistoryReplay(history("file", "set", "set", "back"))
    assert replay.find("v2").entry == "4-0"
    assert replay.find("v3").entry == "3-0"
    with pytest.raises(LedgerError, match="the ledger holds no configuration 'v9'"):
        replay.find("v9")


def test_what_an_earlier_release_changed_stands_on_the_file_it_had_taken():
    changes = history("old:file", "old:set", "old:file", "old:set", "file")
    replay = HistoryReplay(changes)
    assert [replay.file(change) for change in changes[:4]] == ["v1", "v1", "v3", "v3"]
    taken = [*changes, msgspec.structs.replace(changes[4], file="f6", entry="6-0"), *history("old:set")]
    assert HistoryReplay(taken).file(taken[6]) == "f6"
