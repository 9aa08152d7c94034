"""Signals as the services of petrosa take them: intents, under the names by which those services know strategies. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from tasks.protocol.digest import canonical

NOTHING: Mapping[str, str] = MappingProxyType({})


def intent(packed: bytes, name: str, trace: Mapping[str, str] = NOTHING, revision: str = "") -> bytes:
    """Return a signal, the contract's JSON, as an intent of the strategy that they know by `name`.

    It has an `intent_id`, without which theirs is not recorded. The `id` stays that of the signal. `trace` has the
    headers of its trace, if it has one, and `revision` is that of its strategy; empty names none, which theirs take.
    """
    signal: dict[str, Any] = msgspec.json.decode(packed)
    theirs: dict[str, Any] = {"intent_id": signal["id"], "strategy": name, "strategy_id": name}
    theirs |= {"_otel_trace_context": dict(trace)} if trace else {}
    theirs |= {"strategy_revision_id": revision} if revision else {}
    return canonical(signal | theirs)
