"""Which books there are to choose from."""

import pytest

from ingest.feeds.book_plan import TOP, BookPlan
from tasks.errors import SettingsError
from tasks.frames.model import parse_stream


@pytest.mark.parametrize("plan", [TOP, BookPlan("top", 5), BookPlan("diff", 20), BookPlan("diff", 100)])
def test_what_is_published_is_a_stream_of_books(plan):
    plan.check()
    stream = parse_stream(plan.published("BTCUSDT"))
    assert stream is not None
    assert (stream.symbol, stream.kind) == ("BTCUSDT", "depth")
    assert plan.subscribed("BTCUSDT") == ("btcusdt@depth@100ms" if plan.source == "diff" else plan.published("BTCUSDT"))


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (BookPlan("top", 50), "--levels takes 5, 10, 20 with --books top, not 50; --books diff has more"),
        (BookPlan("diff", 7), "--levels takes 5, 10, 20, 50, 100 with --books diff, not 7"),
    ],
)
def test_other_numbers_of_levels_are_refused(plan, said):
    with pytest.raises(SettingsError) as refused:
        plan.check()
    assert str(refused.value) == said
