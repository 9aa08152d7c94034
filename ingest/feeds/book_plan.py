"""Which books a live feed publishes, and from what. Pure."""

from typing import Literal, NamedTuple

from tasks.errors import SettingsError

#: `top`: the exchange's own partial books. `diff`: books that the feed keeps itself, from diff depth.
BookSource = Literal["top", "diff"]
_LEVELS: dict[BookSource, tuple[int, ...]] = {"top": (5, 10, 20), "diff": (5, 10, 20, 50, 100)}


class BookPlan(NamedTuple):
    """Books of so many levels a side, from one of two kinds of streams."""

    source: BookSource = "top"
    levels: int = 20

    def check(self) -> None:
        """Raise SettingsError: there are no such books."""
        if self.levels not in _LEVELS[self.source]:
            known = ", ".join(map(str, _LEVELS[self.source]))
            more = "; --books diff has more" if self.source == "top" and self.levels in _LEVELS["diff"] else ""
            raise SettingsError(f"--levels takes {known} with --books {self.source}, not {self.levels}{more}")

    def subscribed(self, symbol: str) -> str:
        """Return the name of the stream that is asked for."""
        return f"{symbol.lower()}@depth@100ms" if self.source == "diff" else self.published(symbol)

    def published(self, symbol: str) -> str:
        """Return the name of the stream that is published."""
        return f"{symbol.lower()}@depth{self.levels}@100ms"


TOP = BookPlan()
