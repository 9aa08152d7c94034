"""Changes to several ledgers: each one by itself, whole or not at all, because no script spans two servers."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from tasks.clients.redis_client import FAILED, reason
from tasks.errors import LedgerError

Part = TypeVar("Part")
Answer = TypeVar("Answer")


def change_each(parts: Mapping[int, Part], change: Callable[[int, Part], Answer]) -> list[Answer]:
    """Make the part of each ledger's change, by their numbers, and return the answers.

    Raises what `change` raises; where others are changed by then, LedgerError that says which.
    """
    answers: list[Answer] = []
    for at, ledger in enumerate(sorted(parts)):
        try:
            answers.append(change(ledger, parts[ledger]))
        except (*FAILED, LedgerError) as error:
            if not at:
                raise
            done = ", ".join(map(str, sorted(parts)[:at]))
            raise LedgerError(
                f"done in the ledgers of the shards {done}, not in that of shard {ledger} and behind: {reason(error)}; "
                "doing it again leaves alone what is done"
            ) from None
    return answers
