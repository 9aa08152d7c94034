"""Who gets into the signed-in page and can use it: tokens, the policy for content, what axe finds in every dialog."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from compose.local.stack import Stack
from tests.support.browsing import all_findings
from tests.support.servers.api import TOKEN, ApiCaller
from tests.support.servers.basic_proxy import BasicProxy
from tests.support.stacks import letters
from tests.support.stacks.live_page import opened
from tests.support.stacks.operators import open_strategy, sign_in, signed_in
from tests.support.stacks.pipeline import in_simulated_market

pytestmark = pytest.mark.ci

INLINE = """
    document.head.append(Object.assign(document.createElement("script"), { textContent: "window.ran = true" }));
    window.ran
"""

#: Where the visible of the elements are, as top, left and right, read at once: the page moves as it shows what is new.
BOXES = """elements => elements
    .filter((element) => element.getClientRects().length)
    .map((element) => element.getBoundingClientRect())
    .map(({ top, left, right }) => [top, left, right])
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with in_simulated_market(2, 50, {"API_TOKEN": f"desk:{TOKEN}", "INGEST_SOURCE": "jetstream"}) as stack:
        yield stack


def test_a_wrong_token_is_refused_and_nothing_of_it_stays(browser: Browser, stack: Stack):
    with opened(browser, stack) as page:
        expect(page.get_by_role("button", name="Change iceberg")).to_be_hidden()
        page.get_by_role("button", name="Sign in").click()
        sign_in(page, "not-the-token-of-anybody")
        expect(page.get_by_role("alert").filter(has_text="Not signed in")).to_contain_text("the token is not valid")
        assert page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}])") == "[{},{}]"


def test_one_signs_in_behind_a_proxy_with_a_login_of_its_own(browser: Browser, stack: Stack):
    login = {"username": "ann", "password": "of-the-proxy"}
    with BasicProxy(stack.http_port, **login) as proxy:
        in_front: Any = SimpleNamespace(http_port=proxy.port)
        with signed_in(browser, in_front, http_credentials=login) as page:
            expect(open_strategy(page, "iceberg").get_by_label("Reason")).to_be_visible()


def test_an_inline_script_does_not_run_and_fails_the_test_that_has_it(browser: Browser, stack: Stack):
    with pytest.raises(AssertionError, match="Content Security Policy"), signed_in(browser, stack) as page:
        assert page.evaluate(INLINE) is None


def test_the_token_lasts_over_a_reload_until_one_signs_out(browser: Browser, stack: Stack):
    with signed_in(browser, stack) as page:
        assert TOKEN not in page.url
        page.reload()
        expect(page.get_by_role("button", name="Change iceberg")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("button", name="Change iceberg")).to_be_hidden()
        assert page.evaluate("sessionStorage.getItem('api-token')") is None


def test_on_a_phone_no_dead_letter_is_cut_and_names_break_at_their_dots(browser: Browser, stack: Stack):
    letters.add_refused(stack)
    letters.add_condemned(stack, "NEVERSEENUSDT")
    with signed_in(browser, stack, width=360) as page:
        expect(page.locator("#letters tr", has_text="NEVERSEENUSDT")).to_contain_text("3 runs of this event")
        for line in page.locator("#letters tr").all()[:2]:
            boxes = line.locator("th, td").evaluate_all(BOXES)
            assert boxes
            for top, left, right in boxes:
                assert right <= 360
                assert not any(y == top and left < x < right for y, x, _ in boxes), boxes
        drawer = open_strategy(page, "iceberg")
        expect(drawer.locator("label[for='parameter-paper.fees_bps.usdm.taker'] wbr")).to_have_count(4)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_dialog_to_sign_in_keeps_nobody_out(browser: Browser, stack: Stack, scheme: Any):
    with opened(browser, stack, color_scheme=scheme) as page:
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
        assert all_findings(page) == []
        sign_in(page, "not-the-token-of-anybody")
        expect(page.get_by_role("alert").filter(has_text="Not signed in")).to_be_visible()
        assert all_findings(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_dialog_of_operators_keeps_anybody_out(browser: Browser, stack: Stack, scheme: Any):
    letters.add_refused(stack)
    ApiCaller(stack.http_port).post("/strategies/price_velocity/config", {"parameters": {"notional": 90}})
    with signed_in(browser, stack, color_scheme=scheme) as page:
        expect(page.locator("#letters tr").first).to_be_visible()
        page.locator("#letters-all").get_by_role("button", name="Drop these").click()
        found = {"page": all_findings(page)}
        page.locator("#letters tr").first.get_by_role("button", name="Open").click()
        page.get_by_role("dialog", name="Dead letter").get_by_role("button", name="Drop").click()
        found["dead letter"] = all_findings(page)
        page.keyboard.press("Escape")
        drawer = open_strategy(page, "price_velocity")
        drawer.get_by_label("notional").fill("0")
        drawer.get_by_role("button", name="Check the change").click()
        expect(drawer.locator(".fault", has_text="above 0")).to_be_visible()
        found["fault"] = all_findings(page)
        drawer.get_by_label("notional").fill("77")
        drawer.get_by_role("button", name="Check the change").click()
        expect(drawer.locator("#parameters-check tbody tr")).to_be_visible()
        drawer.get_by_role("button", name="Kill").click()
        drawer.locator("#operate-changes li").first.get_by_role("button", name="Undo the newest").click()
        found["change"] = all_findings(page)
        assert [name for name, broken in found.items() if broken] == [], found
