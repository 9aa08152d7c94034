"""The whole configuration: what is in force, its history, and changes as the command line makes them."""

from itertools import islice
from typing import Annotated, Any

from pydantic import BaseModel, Field

from ingest.api.call import Call, Reply, etag
from ingest.api.changes import change_reply, set_values
from ingest.api.models import Body, ChangeBody, DifferenceItem, RuntimeValueItem, Text, Word
from ingest.api.problem import ApiError
from ingest.api.route import NoQuery
from ingest.api.strategies import scope_of
from tasks.configuration.history import ConfigurationChange
from tasks.configuration.model import SHADOW
from tasks.configuration.overlay import Overlay, of_pool
from tasks.errors import UnknownNameError
from tasks.ledger.change_log import ChangeDifferences
from tasks.ledger.configurations import ConfigurationInForce, Wanted
from tasks.ops import configuration_edits
from tasks.protocol.utc_time import utc_iso


class ConfigurationItem(BaseModel):
    """A configuration."""

    config_version: str
    #: The version of the strategies file under it; empty: of an earlier version it is not known.
    file_version: str
    #: As a strategies file would hold it.
    tables: dict[str, Any]
    set_at_run_time: list[RuntimeValueItem]


class HistoryQuery(NoQuery):
    """Which part of the history."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(pattern=r"^(\d{1,20}-\d{1,20})?$")] = ""


class HistoryItem(BaseModel):
    """A change of the configuration."""

    id: str
    config_version: str
    previous: str
    changed_by: str
    changed_at: str
    reason: str
    #: For a rollback: the `id` of the change that it went back to.
    restores: str
    #: None: the ledger can't tell.
    differences: list[DifferenceItem] | None


class SetBody(ChangeBody):
    """Values of a strategy, or of all."""

    strategy: Annotated[Word, Field(description="a strategy, or `all`")]
    values: Annotated[
        dict[str, Any],
        Field(
            min_length=1, max_length=200, description="as `./run tasks strategies set` takes them; null is the default"
        ),
    ]
    pool: Word = ""
    symbol: Word = ""
    force: Annotated[bool, Field(description="accept a symbol that has had no events")] = False


class ConfigurationRollback(Body):
    """To which change; empty: undo the newest one that is in force."""

    to: Annotated[Word, Field(description="`config_version` or `id` of the history")] = ""
    changed_by: Word = ""
    reason: Text | None = None


class ConfigurationReset(Body):
    """What to drop of what was set at run time."""

    key: Annotated[Word, Field(description="as `set_at_run_time` names it, or a strategy, for all of it")] = ""
    everything: bool = False
    changed_by: Word = ""
    reason: Text | None = None


class ShadowItem(BaseModel):
    """A second version of a strategy."""

    name: str
    shadows: str
    pool: str
    emits: bool


def get_configuration(call: Call) -> Reply:
    """Return what is in force, as far as it differs from the defaults, and what of it was set at run time."""
    found = call.ledger.store.in_force()
    values = [RuntimeValueItem(key=each.label, value=each.value) for each in found.overlay]
    item = ConfigurationItem(
        config_version=found.configuration.version,
        file_version=found.stored.file,
        tables=found.configuration.tables(),
        set_at_run_time=values,
    )
    return Reply(item, etag=etag(found.stored))


def get_version(call: Call) -> Reply:
    """Return a configuration by the version that a signal names."""
    chosen = call.ledger.store.read(call.path["version"])
    item = ConfigurationItem(config_version=chosen.version, file_version="", tables=chosen.tables(), set_at_run_time=[])
    return Reply(item)


def list_history(call: Call) -> Reply:
    """Return the changes, newest first."""
    log = call.ledger.store.changes
    changes = list(islice(log.newest_first(call.query.cursor), call.query.limit))
    cursor = changes[-1].entry if len(changes) == call.query.limit else None
    items = [_history_item(each) for each in log.differences(changes)]
    return Reply(items, {"count": len(items), "next_cursor": cursor})


def _history_item(of: ChangeDifferences) -> HistoryItem:
    change: ConfigurationChange = of[0]
    found = None if of[1] is None else [DifferenceItem(key=each.key, old=each.old, new=each.new) for each in of[1]]
    return HistoryItem(
        id=change.entry,
        config_version=change.version,
        previous=change.previous,
        changed_by=change.author,
        changed_at=utc_iso(change.at_ms),
        reason=change.reason,
        restores=change.restores,
        differences=found,
    )


def set_configuration(call: Call) -> Reply:
    """Set values of a strategy or of all, at run time."""
    body: SetBody = call.body

    def wanted(found: ConfigurationInForce) -> Overlay:
        name = scope_of(found.configuration, body.strategy)
        note = None if body.force else _unknown_symbols
        edit = configuration_edits.of_values(
            call.ledger.reader, name, body.values, body.pool, body.symbol, note=note, force='"force": true'
        )
        return edit(found)

    return set_values(call, wanted)


def _unknown_symbols(_: str) -> None:
    """Take a symbol while no event of any has come in."""


def rollback_configuration(call: Call) -> Reply:
    """Undo the newest change at run time that is in force, or bring back all that was set at run time in a version."""
    edit, _ = call.ledger.store.rollback(call.body.to, call.reason, call.author, call.check)
    return change_reply(edit)


def reset_configuration(call: Call) -> Reply:
    """Drop what was set at run time: what the strategies file says is in force again."""
    if bool(call.body.key) == call.body.everything:
        raise ApiError(422, 'say which key to reset, or "everything": true', "invalid-request")
    return change_reply(call.ledger.store.reset(call.body.key, call.reason, call.author, call.check))


def kill_strategy(call: Call) -> Reply:
    """Hold back every signal of a strategy, or of `all`; strategies keep running."""
    return set_values(call, _gates(call, configuration_edits.KILLED))


def revive_strategy(call: Call) -> Reply:
    """Let signals through again after a kill."""
    return set_values(call, _gates(call, configuration_edits.REVIVED))


def pause_strategy(call: Call) -> Reply:
    """Hold back the signals of a strategy, or of `all`, until it is resumed."""
    return set_values(call, _gates(call, configuration_edits.PAUSED))


def resume_strategy(call: Call) -> Reply:
    """Let signals of a strategy through again, and run one that was switched off."""
    return set_values(call, _gates(call, configuration_edits.RESUMED))


def _gates(call: Call, gates: dict[str, bool | None]) -> Wanted:
    name = call.path["strategy"]

    def wanted(found: ConfigurationInForce) -> Overlay:
        known = scope_of(found.configuration, name)
        return configuration_edits.of_switch(known, gates)(found)

    return wanted


def pause_pool(call: Call) -> Reply:
    """Hold back the signals of all strategies of a pool."""
    return set_values(call, _paused(call, paused=True))


def resume_pool(call: Call) -> Reply:
    """Let signals of a pool through again."""
    return set_values(call, _paused(call, paused=False))


def _paused(call: Call, *, paused: bool) -> Wanted:
    name = call.path["pool"]

    def wanted(found: ConfigurationInForce) -> Overlay:
        if name not in found.configuration.pools:
            raise UnknownNameError(f"there is no pool {name!r}; known: {', '.join(found.configuration.pools)}")
        return of_pool(name, paused=paused)

    return wanted


def list_shadows(call: Call) -> Reply:
    """Return the shadows, and which of them emit."""
    found = call.ledger.store.in_force()
    items = [
        ShadowItem(name=f"{SHADOW}{name}", shadows=each.of, pool=pool, emits=each.emits)
        for pool, chosen in found.configuration.pools.items()
        for name, each in sorted(chosen.shadow.items())
    ]
    return Reply(items, {"count": len(items)}, etag(found.stored))


def promote_shadow(call: Call) -> Reply:
    """Let a shadow emit in place of its original, or the original again."""
    return set_values(call, configuration_edits.of_promotion(call.path["strategy"]))


def refresh_cache(call: Call) -> Reply:
    """Do nothing: a change is in force with the next batch of each lane, and nothing is cached."""
    found = call.ledger.store.in_force()
    done = {"message": "cache refreshed successfully"}
    return Reply(done, {"action": "cache_refresh"}, etag(found.stored), change=None)
