"""The progress of a sweep on a terminal."""

import io

import pytest

from tasks.cli import command_line
from tasks.cli.sweep.execution import ProgressDisplay


@pytest.mark.parametrize("width", [60, 80, 150])
def test_the_best_set_leaves_room_for_the_bar_and_the_time_left(width: int):
    written = io.StringIO()
    err = command_line.Console(file=written, force_terminal=True, width=width)
    with ProgressDisplay(err, 100) as shown:
        shown.describe(f"best in-sample profit so far: skew {'levels=5 ' * 20}")
        shown.count(40, 180)
        shown.advance(25)
    last = written.getvalue()
    assert " 25 %" in last
    assert "left" in last
    assert "40 of 180 sets" in last
    assert "best in-sample profit so far: skew" in last
