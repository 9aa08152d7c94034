"""Switches strategies off by an audited change, which lasts and is visible to everybody.

Those that workers had to stop, because they end their process, and those that raise more often than their gate's
`max_errors_per_minute` allows.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping

import structlog

from ingest.dispatch.active_configuration import ActiveConfiguration
from ingest.dispatch.sender import Sender
from ingest.ledger import IngestLedger
from tasks.configuration import named_strategies
from tasks.errors import LedgerError, SettingsError
from tasks.protocol.findings import Finding
from tasks.protocol.routing import LaneId
from tasks.protocol.strikes import LastStrike, StrikeNotice

AUTHOR = "breaker"
#: For so long, and of so many versions, strikes count after another one was put in force: batches under it may run on.
_WATCH_S, _WATCHED_VERSIONS = 600.0, 8
Errors = Callable[[float], Mapping[str, int]]
log = structlog.get_logger()


class Breaker:
    """The strategies that were switched off because of their errors, with the reasons."""

    def __init__(
        self,
        ledger: IngestLedger,
        active_configuration: ActiveConfiguration,
        sender: Sender,
        pools: tuple[str, ...],
        errors: Errors,
    ) -> None:
        """`errors` returns on how many events each strategy has raised since a monotonic time, at most a minute ago."""
        self._ledger, self._active_configuration, self._sender, self._pools = (
            ledger,
            active_configuration,
            sender,
            pools,
        )
        #: The version in force, and when those before it were replaced, monotonic seconds: batches under one of them may
        #: still run.
        self._version, self._replaced_s = "", dict[str, float]()
        #: What was switched off for strikes under a version: (version, pool, strategy).
        self._settled: set[tuple[str, str, str]] = set()
        self._errors, self._limits, self._since_s = errors, dict[tuple[str, str], int](), 0.0
        #: By pool and strategy.
        self._reasons: dict[tuple[str, str], str] | None = None
        self._open: list[tuple[str, str, str]] = []
        #: One look at a time.
        self._looking = asyncio.Lock()

    def findings(self) -> Iterator[Finding]:
        """Yield the strategies that are off because of it."""
        for pool, name, why in self._open:
            do = f"fix it; `./run tasks strategies resume {name}` runs it again"
            yield Finding("warning", f"strategy {name} in pool {pool}", f"switched off: {why}", do, "strategy_stopped")

    async def on_notice(self, text: str) -> None:
        """Take the notice of a strike: its batch is sent again at once. Raises what Redis raises."""
        try:
            notice = StrikeNotice.parse(text)
        except ValueError:
            log.warning("not a notice", text=text[:100])
            return
        name = LaneId(notice.pool, notice.partition)
        if notice.epoch == str(self._sender.epoch) and name in self._sender.lanes:
            lane = self._sender.lanes[name]
            if lane.flight:
                lane.ended(time.monotonic())
        if notice.answer == "stopped":
            await self.poll()

    async def poll(self) -> None:
        """Read the strikes and errors from the ledger, and switch off strategies. Raises what Redis raises."""
        async with self._looking:
            if self._reasons is None:
                self._reasons = await self._from_history()
            if self._version != self._active_configuration.version:
                await self._begin(self._active_configuration.version)
            for version in (self._version, *self._replaced_s):
                await self._open_stopped(version)
            raised = self._errors(self._since_s) if self._limits else {}
            for (pool, name), limit in list(self._limits.items()):
                if raised.get(name, 0) > limit:
                    await self.open(
                        pool, name, f"it raised on {raised[name]} events within a minute, {limit} are allowed"
                    )

    async def _open_stopped(self, version: str) -> None:
        """Switch off what workers stopped under a version, once."""
        for pool, strikes in (await self._ledger.last_strikes(version, self._pools)).items():
            for name, each in strikes.items():
                if each.stopped and (version, pool, name) not in self._settled:
                    self._settled.add((version, pool, name))
                    await self.open(pool, name, f"it ended its process again ({_describe(each)})")

    async def open(self, pool: str, name: str, why: str) -> None:
        """Switch a strategy off, unless it is. Raises what Redis raises."""
        try:
            change = await self._active_configuration.pause_strategy(name, f"{pool}/{name}: {why}", AUTHOR, pool)
        except (SettingsError, LedgerError) as error:
            log.error("a strategy could not be switched off", strategy=name, pool=pool, why=str(error))  # noqa: TRY400 one line
            return
        if change and self._reasons is not None:
            self._reasons[pool, name] = why
            log.error("a strategy is switched off", strategy=name, pool=pool, why=why, version=change.version)
            await self._begin(self._active_configuration.version)

    async def _begin(self, version: str) -> None:
        """Start with another configuration: of strikes it takes over those under the one before, and forgets its own.

        Its own are from an earlier time in which it was in force. Strategies that were stopped start without strikes.
        """
        before = await self._ledger.last_strikes(self._version, self._pools)
        going_on = {
            pool: {name: each for name, each in strikes.items() if not each.stopped} for pool, strikes in before.items()
        }
        await self._ledger.set_last_strikes(version, going_on)
        self._replace(version)
        chosen, reasons = self._active_configuration.configuration, self._reasons or {}
        off = await asyncio.to_thread(lambda: [key for key in reasons if named_strategies.is_off(chosen, *key)])
        # What was raised under another configuration does not count: a resumed strategy starts with a count of 0.
        self._limits, self._since_s = await asyncio.to_thread(named_strategies.error_limits, chosen), time.monotonic()
        self._open = [(pool, name, reasons[pool, name]) for pool, name in off]

    def _replace(self, version: str) -> None:
        """Make a version the one in force; the one before it stays watched for a while."""
        now_s = time.monotonic()
        if self._version:
            self._replaced_s[self._version] = now_s
        # The one in force is never among them, so the latest stands last.
        recent = list(self._replaced_s.items())[-_WATCHED_VERSIONS:]
        self._replaced_s = {each: left_s for each, left_s in recent if each != version and now_s - left_s < _WATCH_S}
        self._settled = {each for each in self._settled if each[0] in self._replaced_s}
        self._version = version

    async def _from_history(self) -> dict[tuple[str, str], str]:
        """Return what was switched off before this process began."""
        reasons: dict[tuple[str, str], str] = {}
        for change in await self._active_configuration.history():
            pool, slash, rest = change.reason.partition("/")
            if change.author == AUTHOR and slash:
                name, _, why = rest.partition(": ")
                reasons[pool, name] = why
        return reasons


def _describe(strike: LastStrike) -> str:
    return f"the last time it {strike.why}, at event {strike.event}"
