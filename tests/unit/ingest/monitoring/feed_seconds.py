"""A feed whose events and seconds a test gives."""

from ingest.monitoring.feed_watch import FeedWatch
from tasks.events import AnyEvent
from tests.support.events import TIME_MS, trade

QUIET_S = 30.0


class Feed:
    """A feed whose events and seconds the test gives."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.listening = True
        self.expecting = False
        self.refused: list[tuple[str, str]] = []
        self.watch = FeedWatch(
            lambda _, kind: kind == "trade",
            lambda: self.listening,
            QUIET_S,
            lambda: self.expecting,
            refuse=lambda reason, detail: self.refused.append((reason, detail)),
        )
        self._id = 0

    def trade(self, symbol: str = "BTCUSDT") -> AnyEvent:
        self._id += 1
        return trade(id=self._id, symbol=symbol, time_ms=TIME_MS + self._id)

    def second(self, *events: AnyEvent) -> None:
        """Let a second go by, with these events in it."""
        for event in events:
            self.watch.observe(event)
        self.now_s += 1
        self.watch.tick(self.now_s)

    def seconds(self, count: float, *symbols: str) -> None:
        """Let seconds go by, with a trade of each symbol in each of them."""
        for _ in range(int(count)):
            self.second(*map(self.trade, symbols))

    @property
    def found(self) -> dict[str, str]:
        """What is wrong, by name."""
        return {each.name: each.says for each in self.watch.findings(self.now_s) if each.sign != "ok"}

    @property
    def well(self) -> list[str]:
        return [each.says for each in self.watch.findings(self.now_s) if each.sign == "ok"]
