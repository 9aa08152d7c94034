"""Changes of one strategy's configuration: set, deleted, listed, undone."""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Annotated, Any

from pydantic import BaseModel, Field

from ingest.api.call import Call, Reply, change_of, etag_after
from ingest.api.changes import differences
from ingest.api.in_force import config_item
from ingest.api.models import Body, Text, Word
from ingest.api.route import NoQuery
from ingest.api.strategies import scope_of
from tasks.configuration import catalog
from tasks.configuration.edits import KeyDifference
from tasks.configuration.history import ConfigurationChange, HistoryReplay
from tasks.configuration.model import SHADOW
from tasks.configuration.overlay import ALL, Overlay, RuntimeValue
from tasks.errors import NotFoundError, NothingToUndoError
from tasks.frames.symbols import meant
from tasks.ledger.configurations import ConfigurationInForce, EditResult
from tasks.ops import configuration_edits
from tasks.protocol.utc_time import utc_iso

#: Changes that are looked through for those of one strategy.
MAX_SCANNED = 2_000


class AuditQuery(NoQuery):
    """Which changes."""

    symbol: Word = ""
    limit: Annotated[int, Field(ge=1, le=1_000)] = 50


class SymbolQuery(NoQuery):
    """Only what is set for a symbol."""

    symbol: Word = ""


class StrategyRollback(Body):
    """To which change; neither: undo the newest one of the strategy."""

    target_version: Annotated[int | None, Field(ge=1, description="`version` of a configuration, or in the audit")] = (
        None
    )
    rollback_id: Annotated[Word | None, Field(description="`id` in the audit")] = None
    changed_by: Word = ""
    reason: Text | None = None


class AuditItem(BaseModel):
    """A change of a strategy's configuration."""

    id: str
    strategy_id: str
    symbol: str | None
    action: str
    #: What it changed, by key; null is the default.
    old_parameters: dict[str, Any]
    new_parameters: dict[str, Any]
    changed_by: str
    changed_at: str
    reason: str
    version: int
    config_version: str


class DeletedItem(BaseModel):
    """The result of a deletion."""

    message: str


def set_config(call: Call) -> Reply:
    """Change parameters of a strategy, at run time; they outlive restarts and edits of the strategies file."""
    return _set(call, "")


def set_symbol_config(call: Call) -> Reply:
    """Change parameters of a strategy for one symbol."""
    return _set(call, call.path["symbol"])


def _set(call: Call, symbol: str) -> Reply:
    notes: list[str] = []

    def wanted(found: ConfigurationInForce) -> Overlay:
        call.check(found)
        name = scope_of(found.configuration, call.path["strategy"])
        assigned = _assigned(name, call.body.parameters)
        note = None if call.body.force else notes.append
        edit = configuration_edits.of_values(
            call.ledger.reader, name, assigned, call.body.pool, symbol, note=note, force='"force": true'
        )
        return edit(found)

    store = call.ledger.store
    if call.body.validate_only:
        edit = store.preview(wanted)
        checked = {"validation": "passed", "differences": differences(edit), "notes": notes}
        return Reply(None, checked, change=None)
    edit = store.set(wanted, call.reason, call.author)
    metadata = {"action": "updated", "differences": differences(edit), "notes": notes}
    return Reply(config_item(call, _after(edit), call.body.pool), metadata, etag_after(edit), change_of(edit))


def _assigned(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with `enabled`, by which petrosa pauses and resumes, as the gates that it means."""
    assigned = dict(parameters)
    if isinstance(assigned.get("enabled"), bool):
        known = set() if name == ALL else {each.name for each in catalog.parameters_of(name.removeprefix(SHADOW))}
        if "enabled" not in known:
            enabled = assigned.pop("enabled")
            assigned |= configuration_edits.RESUMED if enabled else configuration_edits.PAUSED
    return assigned


def _after(edit: EditResult) -> ConfigurationInForce:
    """Return what is in force after an edit."""
    return edit.old._replace(configuration=edit.new, overlay=edit.overlay) if edit.change else edit.old


def delete_config(call: Call) -> Reply:
    """Drop all that was set at run time for a strategy."""
    return _delete(call, "")


def delete_symbol_config(call: Call) -> Reply:
    """Drop all that was set at run time for a strategy and one symbol."""
    return _delete(call, call.path["symbol"])


def _delete(call: Call, symbol: str) -> Reply:
    def kept(found: ConfigurationInForce) -> Overlay:
        call.check(found)
        name = scope_of(found.configuration, call.path["strategy"])
        left = tuple(each for each in found.overlay if not _is_of(each, name, symbol))
        if left == found.overlay:
            of = f"{name} and {symbol}" if symbol else name
            raise NotFoundError(f"nothing is set at run time for {of}: what is in force stands in the strategies file")
        return left

    edit = call.ledger.store.replace(kept, call.reason or "deleted", call.author)
    return Reply(
        DeletedItem(message="deleted successfully"),
        {"action": "deleted", "differences": differences(edit)},
        etag_after(edit),
        change_of(edit),
    )


def _is_of(value: RuntimeValue, name: str, symbol: str) -> bool:
    return value.strategy == name and (not symbol or value.symbol in {symbol, symbol.upper()})


def list_audit(call: Call) -> Reply:
    """Return the changes of a strategy's configuration, newest first."""
    store = call.ledger.store
    configuration = store.in_force().configuration
    name, count = scope_of(configuration, call.path["strategy"]), store.changes.count()
    symbol = call.query.symbol and meant(call.query.symbol, configuration.symbols())
    newest = islice(store.changes.newest_first(), MAX_SCANNED)
    found = []
    for number, (change, differing) in enumerate(store.changes.differences(newest)):
        if of_strategy := _within(name, symbol, differing or ()):
            found.append(_audited(call.path["strategy"], symbol, count - number, change, of_strategy))
        if len(found) == call.query.limit:
            break
    return Reply(found, {"count": len(found)})


def _within(name: str, symbol: str, differing: Any) -> list[KeyDifference]:
    """Return the differences of a strategy, by keys in its table."""
    if name == ALL:
        return [each for each in differing if each.key.startswith(("gate.", "paper"))]
    table, name = ("shadow", name.removeprefix(SHADOW)) if name.startswith(SHADOW) else ("strategies", name)
    key = re.compile(rf"pools\.\w+\.{table}\.{re.escape(name)}\.(.+)")
    inside = [each._replace(key=found[1]) for each in differing if (found := key.fullmatch(each.key))]
    return [each for each in inside if not symbol or each.key.startswith(f"symbols.{symbol}.")]


def _audited(
    strategy: str, symbol: str, version: int, change: ConfigurationChange, differing: list[KeyDifference]
) -> AuditItem:
    new = {each.key: each.new for each in differing}
    action = (
        "rollback" if change.restores else "update" if any(value is not None for value in new.values()) else "delete"
    )
    return AuditItem(
        id=change.entry,
        strategy_id=strategy,
        symbol=symbol or None,
        action=action,
        old_parameters={each.key: each.old for each in differing},
        new_parameters=new,
        changed_by=change.author,
        changed_at=utc_iso(change.at_ms),
        reason=change.reason,
        version=version,
        config_version=change.version,
    )


def rollback_strategy(call: Call) -> Reply:
    """Bring back what was set at run time for a strategy after an earlier change; without one, undo its newest.

    A second one without a target undoes the first.
    """
    store, symbol = call.ledger.store, call.query.symbol
    history = store.history()
    replay = HistoryReplay(history)

    def wanted(found: ConfigurationInForce) -> Overlay:
        call.check(found)
        name = scope_of(found.configuration, call.path["strategy"])

        def of_this(overlay: Overlay) -> Overlay:
            return tuple(each for each in overlay if _is_of(each, name, symbol))

        target = _target(call, history)
        before = (store.runtime_values(replay, each) for each in ([target] if target else reversed(history)))
        values = next((each for each in map(of_this, before) if target or each != of_this(found.overlay)), None)
        if values is None:
            raise NothingToUndoError(f"nothing that was set at run time for {name} is left to undo")
        return (*(each for each in found.overlay if each not in of_this(found.overlay)), *values)

    edit = store.replace(wanted, call.reason or "rollback", call.author)
    metadata = {"action": "rolled back", "differences": differences(edit)}
    return Reply(config_item(call, _after(edit), symbol=symbol), metadata, etag_after(edit), change_of(edit))


def _target(call: Call, history: list[ConfigurationChange]) -> ConfigurationChange | None:
    body: StrategyRollback = call.body
    number, entry = body.target_version, body.rollback_id
    if number is not None and number > len(history):
        raise NotFoundError(f"there is no version {number} of the configuration: the last one is {len(history)}")
    if number is not None:
        return history[number - 1]
    return HistoryReplay(history).find(entry) if entry else None
