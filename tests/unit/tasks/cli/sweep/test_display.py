"""What a sweep prints, and what its page takes from the same report."""

import io
from pathlib import Path

from tasks.cli import command_line
from tasks.cli.sweep import display, page_content
from tasks.cli.sweep.display import SweepReport
from tasks.sweep.figures import SweepRow
from tasks.sweep.walk_forward import WalkForward, WindowChoice

FAILED = SweepRow("skew", {"levels": 5}, error="Traceback\nboom")
CALM = SweepRow("calm", {"levels": 9}, profit=1.0)


def printed(report: SweepReport) -> str:
    written = io.StringIO()
    display.show(command_line.Console(file=written, width=200), report)
    return written.getvalue()


def choice(out_of_sample: float | None, rank: int) -> WindowChoice:
    return WindowChoice("calm", 0, 1_000, 2_000, {"levels": 9}, 1.0, out_of_sample, 0.5, rank, 10)


def test_a_strategy_of_which_every_set_failed_has_no_table():
    text = printed(SweepReport("profit", "in-sample", [FAILED, CALM]))
    assert "skew: every set failed" in text
    assert "calm: the best 1 of 1 sets by profit" in text
    assert "skew levels=5: boom" in text


def test_a_strategy_without_walk_forward_is_named():
    found = WalkForward("profit", [choice(2.0, 1)], {"calm": 0}, [CALM], {"calm": []})
    text = printed(SweepReport("profit", "test windows", [FAILED, CALM], walk_forward=found))
    assert "skew: no walk-forward, as in some window every set failed" in text
    assert "calm: walk-forward over 1 windows" in text


def test_the_page_counts_a_choice_as_worse_where_the_report_does():
    """Also where it has no value, or few of the sets have one."""
    windows = [choice(None, 5), choice(0.2, 3), choice(0.5, 3), choice(0.9, 1)]
    found = WalkForward("hit_rate", windows, {"calm": 2}, [CALM], {"calm": []})
    page = page_content.of_report(SweepReport("hit_rate", "test windows", [CALM], walk_forward=found), [Path("a")])
    assert page.walk_forward is not None
    assert [each.is_below for each in page.walk_forward.windows] == [True, True, False, False]
    assert page.notes == ["Figures of sets are those of the test windows, all of them together."]
