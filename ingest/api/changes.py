"""What edits of the configuration answer."""

from ingest.api.call import Call, Reply, change_of, etag_after
from ingest.api.models import ChangeItem, DifferenceItem
from tasks.configuration import edits
from tasks.configuration.overlay import Overlay
from tasks.ledger.configurations import ConfigurationInForce, EditResult, Wanted


def differences(edit: EditResult) -> list[DifferenceItem]:
    """Return what an edit changes."""
    found = edits.difference(edit.old.configuration, edit.new)
    return [DifferenceItem(key=each.key, old=each.old, new=each.new) for each in found]


def change_reply(edit: EditResult, *, validate_only: bool = False) -> Reply:
    """Return the answer about an edit."""
    item = ChangeItem(
        changed=edit.change is not None,
        validate_only=validate_only,
        config_version=edit.new.version,
        differences=differences(edit),
    )
    return Reply(item, etag=etag_after(edit), change=change_of(edit))


def set_values(call: Call, edit: Wanted) -> Reply:
    """Make an edit, or only check it, if what is in force is what the caller has seen."""

    def wanted(found: ConfigurationInForce) -> Overlay:
        call.check(found)
        return edit(found)

    if call.body.validate_only:
        return change_reply(call.ledger.store.preview(wanted), validate_only=True)
    return change_reply(call.ledger.store.set(wanted, call.reason, call.author))
