"""A sweep's page: one file that holds everything, and says which of its numbers are in-sample."""

import re
import sys
from pathlib import Path

import msgspec
import pytest

from tasks.errors import SettingsError
from tasks.sweep.page import html_page
from tests.support.pages.references import References
from tests.support.pages.sweeps import TRACEBACK, row, sweep_page, walk_forward

EVIL = "</script><img src=https://evil.example>"


def body(text: str) -> str:
    """Return what a reader sees, and the data of the scripts."""
    return text[text.index("<main>") :]


def data(text: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="sweep">(.*?)</script>', text, re.DOTALL)
    assert found
    decoded: dict[str, object] = msgspec.json.decode(found[1])
    return decoded


def test_the_page_refers_to_no_other_file():
    parser = References()
    parser.feed(html_page.html(sweep_page(walk_forward=walk_forward())))
    assert parser.found == []


def test_what_comes_from_outside_is_escaped():
    rows = [row(EVIL, 1.0, **{EVIL: EVIL}), row(EVIL, None, EVIL, **{EVIL: [EVIL]})]
    found = walk_forward(EVIL)
    found = found._replace(windows=[each._replace(parameters={EVIL: EVIL}) for each in found.windows])
    text = html_page.html(
        sweep_page(title=EVIL, files=[EVIL], objective="profit", rows=rows, walk_forward=found, notes=[EVIL])
    )
    parser = References()
    parser.feed(text)
    assert parser.found == []
    assert EVIL not in text
    assert data(text)["errors"] == [None, EVIL]


def test_the_head_names_files_sets_failures_objective_and_notes():
    text = body(html_page.html(sweep_page(notes=["The account ran on default terms."])))
    for said in (
        "<dd>monday.jsonl.gz</dd>",
        "<dd>63, of them 1 failed</dd>",
        "<dd>profit, the highest is best</dd>",
        "<p>The account ran on default terms.</p>",
    ):
        assert said in text


def test_each_strategy_has_its_best_set():
    text = body(html_page.html(sweep_page()))
    assert "levels=100, hold_s=60, side=long" in text
    assert 'data-value="40.0">40.00</td>' in text
    assert '<th scope="row" data-value="single">single</th><td class="name long" data-value="window_s=3">' in text
    lowest = body(html_page.html(sweep_page(is_lowest_best=True)))
    assert 'data-value="window_s=1">' in lowest
    assert "profit, the lowest is best" in lowest


def test_a_strategy_whose_sets_all_failed_has_no_best_set():
    text = body(html_page.html(sweep_page(rows=[row("skew", 9.0, TRACEBACK, levels=5)])))
    assert '<td class="name long" data-value="">-</td>' in text


def test_a_plain_sweep_says_that_all_its_figures_are_in_sample():
    text = body(html_page.html(sweep_page()))
    assert "Chosen on the same data: in-sample." in text
    for title in re.findall(r"<h2>(.*?)</h2>", text)[:3]:
        assert "in-sample" in title
    assert "out-of-sample" not in text


def test_a_walk_forward_shows_choices_and_the_share_below_the_median():
    text = body(html_page.html(sweep_page(walk_forward=walk_forward())))
    assert "<b>skew</b>: in-sample best below the out-of-sample median: 1 of 4" in text
    table = text[text.index('aria-label="Choices by window"') :]
    assert table.count("levels=20</td>") == 2 * 4 / 2
    assert (table.count(">better</td>"), table.count(">worse</td>")) == (3, 1)
    assert "in-sample profit" in table
    assert "1970-01-01 02:00:00" in table
    # Two of the four test windows are shaded.
    assert text.count('"type":"rect"') == 2


def test_failed_sets_of_one_traceback_stand_together_under_its_last_line():
    rows = [row("skew", None, TRACEBACK, levels=levels) for levels in (5, 10)]
    text = body(html_page.html(sweep_page(rows=[*rows, row("skew", None, "ValueError: odd", levels=20)])))
    summaries = re.findall(r"<summary>(.*?)</summary>", text, re.DOTALL)
    assert [each.replace("\n", " ") for each in summaries] == [
        '<b>skew</b>, 2 sets <span class="down">ZeroDivisionError: division by &lt;b&gt;zero&lt;/b&gt;</span>',
        '<b>skew</b>, 1 set: levels=20 <span class="down">ValueError: odd</span>',
    ]
    assert text.count("Traceback (most recent call last):") == 1
    assert "Failed sets" not in body(html_page.html(sweep_page(rows=[row("skew", 1.0)])))


def test_a_sweep_without_rows_has_a_page():
    assert data(html_page.html(sweep_page(rows=[])))["columns"] == []


def test_the_page_holds_no_inline_handlers():
    assert not re.search(r"<[a-z][^>]* on[a-z]+=", body(html_page.html(sweep_page(walk_forward=walk_forward()))))


def test_writing_returns_the_size_in_bytes(tmp_path: Path):
    assert html_page.write(tmp_path / "page.html", sweep_page()) == (tmp_path / "page.html").stat().st_size


def test_a_page_that_can_not_be_written_is_one_clear_line(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"can't write .*page\.html: No such file"):
        html_page.write(tmp_path / "nowhere" / "page.html", sweep_page())


def test_without_the_library_it_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(SettingsError, match="--html needs plotly"):
        html_page.write(tmp_path / "page.html", sweep_page())
