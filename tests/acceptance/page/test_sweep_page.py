"""The page of a sweep, in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tasks.sweep.page import html_page
from tests.support.browsing import all_findings
from tests.support.pages.sweeps import row, sweep_page, walk_forward

pytestmark = pytest.mark.ci


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "sweep.html"
    html_page.write(path, sweep_page(walk_forward=walk_forward()))
    return path


@pytest.fixture
def shown(browser: Browser, file: Path) -> Iterator[Page]:
    with browser.new_context() as context:
        shown = context.new_page()
        faults: list[str] = []
        shown.on("pageerror", lambda error: faults.append(str(error)))
        shown.goto(file.as_uri(), timeout=60_000)
        yield shown
        assert faults == []


def column(shown: Page, name: str) -> list[str]:
    heads = shown.locator("#sets thead th").all_inner_texts()
    rows: list[str] = shown.locator("#sets tbody tr").evaluate_all(
        "(rows, at) => rows.map(row => row.cells[at].textContent)", heads.index(name)
    )
    return rows


def drawn(shown: Page) -> dict[str, Any]:
    """Return the first trace of the chart of two parameters."""
    trace: dict[str, Any] = shown.evaluate(
        "(({type, mode, z, x}) => ({type, mode, z, x}))(document.getElementById('map').data[0])"
    )
    return trace


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("levels=5", 4),
        ("LEVELS=5 hold_s = 60", 2),
        ("profit>0 levels!=5", 8 + 25 + 3 - 1),
        ("hit_rate>=50% strategy=single", 3),
        ("<b>short", 10),
        ("division", 1),
        ("momentum smoothing=1", 7),
        ("nothing-like-it", 0),
    ],
)
def test_the_table_is_filtered_by_words_and_comparisons(words: str, count: int, shown: Page):
    shown.get_by_label("filter").fill(words)
    expect(shown.locator("#sets tbody tr")).to_have_count(count)
    expect(shown.locator("#shown")).to_contain_text(f"{count} of {count} set")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("levls=5", "No column or parameter is called levls."),
        ("profit>many", "profit> needs a number."),
        ("profit>", "profit> needs a value."),
    ],
)
def test_a_filter_that_can_not_be_read_says_why(words: str, said: str, shown: Page):
    box = shown.get_by_label("filter")
    box.fill(words)
    expect(shown.get_by_role("alert")).to_have_text(said)
    expect(box).to_have_attribute("aria-invalid", "true")
    expect(shown.locator("#sets tbody tr")).to_have_count(63)
    box.fill("")
    expect(shown.get_by_role("alert")).to_have_text("")


def test_any_column_sorts_the_table_by_keyboard(shown: Page):
    assert column(shown, "profit")[:2] == ["40.00", "40.00"]
    head = shown.locator("#sets thead").get_by_role("button", name="levels")
    head.press("Enter")
    assert column(shown, "levels")[:5] == ["100"] * 4 + ["50"]
    assert column(shown, "levels")[-1] == "-"
    shown.keyboard.press("Enter")
    assert column(shown, "levels")[:5] == ["5"] * 4 + ["10"]
    assert shown.locator("#sets th[aria-sort]").evaluate_all("all => all.map(each => each.ariaSort)") == ["ascending"]


def test_two_parameters_are_a_map_whose_cells_combine_the_other_ones(shown: Page):
    assert drawn(shown)["type"] == "heatmap"
    assert drawn(shown)["z"] == [[-19.5, -19, -18, -15, -10], [30.5, 31, 32, 35, 40]]
    shown.get_by_label("up").select_option("side")
    assert drawn(shown)["z"][1] == [5.5, 6, -18, 10, 15]
    shown.get_by_label("sets of a cell").select_option("of the best profit")
    assert drawn(shown)["z"] == [[30.5, 31, 32, 35, 40], [30.5, 31, -18, 35, 40]]
    shown.get_by_label("figure", exact=True).select_option("hit_rate")
    assert drawn(shown)["z"][0] == [0.5] * 5
    expect(shown.locator("#map-note")).to_contain_text("in-sample")


def test_a_combination_that_was_not_tried_is_blank(shown: Page):
    shown.evaluate("sweep.errors.fill('failed', 0, 4); draw()")
    assert [cells[0] for cells in drawn(shown)["z"]] == [None, None]


def test_many_values_are_points_and_one_parameter_is_a_line(shown: Page):
    shown.get_by_label("strategy", exact=True).select_option("momentum")
    assert (drawn(shown)["mode"], len(drawn(shown)["x"])) == ("markers", 40)
    expect(shown.get_by_label("sets of a cell")).to_be_disabled()
    shown.get_by_label("strategy", exact=True).select_option("single")
    assert (drawn(shown)["mode"], drawn(shown)["x"]) == ("lines", [1, 2, 3])


def test_parallel_coordinates_are_drawn_with_categories_and_the_figure(shown: Page):
    shown.wait_for_selector("#parallel.js-plotly-plot canvas", timeout=60_000)
    labels = shown.evaluate("document.getElementById('parallel').data[0].dimensions.map(each => each.label)")
    assert labels == ["levels", "hold_s", "side", "profit, in-sample"]
    ticks = shown.evaluate("document.getElementById('parallel').data[0].dimensions[2].ticktext")
    assert ticks == ["&lt;b&gt;short&lt;/b&gt;", "long"]


def test_of_thousands_of_sets_some_hundreds_are_shown(browser: Browser, tmp_path: Path):
    rows = [row("skew", at / 10, levels=at) for at in range(5_000)]
    html_page.write(tmp_path / "large.html", sweep_page(rows=rows))
    with browser.new_context() as context:
        shown = context.new_page()
        shown.goto((tmp_path / "large.html").as_uri(), timeout=60_000)
        lines = shown.locator("#sets tbody tr")
        expect(lines).to_have_count(200)
        expect(shown.locator("#shown")).to_have_text("200 of 5,000 sets shown.")
        shown.get_by_label("filter").fill("levels<1000 profit>=50")
        expect(shown.locator("#shown")).to_have_text("200 of 500 sets shown; the filter leaves out 4,500.")
        shown.get_by_role("button", name="Show 200 more").click()
        expect(lines).to_have_count(400)
        shown.get_by_role("button", name="Show 100 more").click()
        expect(shown.locator("#more")).to_be_hidden()


def test_the_page_is_for_everybody_dark_or_light_wide_or_narrow(shown: Page):
    shown.set_viewport_size({"width": 360, "height": 740})
    schemes: tuple[Any, ...] = ("light", "dark")
    for scheme in schemes:
        shown.emulate_media(color_scheme=scheme)
        assert all_findings(shown) == []
    assert shown.evaluate("document.documentElement.scrollWidth") <= 360
    shown.get_by_text("division by <b>zero</b>").first.click()
    assert all_findings(shown) == []
