"""What operators do on the live page, in a real browser on a pipeline that runs: sign in, change strategies, undo it."""

import json
import re
from collections.abc import Iterator

import pytest
import redis
from playwright.sync_api import Browser, expect

from compose.local.stack import Stack
from tasks.ledger import LedgerKeys
from tests.support.browsing import all_findings, grave_findings
from tests.support.servers.api import TOKEN, ApiCaller
from tests.support.stacks import letters
from tests.support.stacks.operators import held_back, is_uncovered, open_strategy, signed_in
from tests.support.stacks.pipeline import in_simulated_market


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with in_simulated_market(2, 50, {"API_TOKEN": f"desk:{TOKEN}", "INGEST_SOURCE": "jetstream"}) as stack:
        yield stack


@pytest.mark.parametrize("width", [1280, pytest.param(380, marks=pytest.mark.ci)])
def test_a_change_is_checked_shown_and_applied_and_can_be_undone(browser: Browser, stack: Stack, width: int):
    api = ApiCaller(stack.http_port)
    with signed_in(browser, stack, width) as page:
        drawer = open_strategy(page, "orderbook_skew")
        drawer.get_by_label("levels").fill("0")
        drawer.get_by_role("button", name="Check the change").click()
        expect(drawer.get_by_label("levels")).to_have_attribute("aria-invalid", "true")
        expect(drawer.locator(".fault", has_text="must be at least 1")).to_be_visible()
        drawer.get_by_label("levels").fill("10")
        drawer.get_by_role("button", name="Check the change").click()
        expect(drawer.locator("#parameters-check tbody tr")).to_have_text(re.compile(r"orderbook_skew\.levels\D+10$"))
        assert api.get("/strategies/orderbook_skew/config").data["parameters"]["levels"] == 5
        drawer.get_by_role("button", name="Apply").click()
        expect(drawer.get_by_role("status")).to_contain_text("say who you are and why")
        drawer.get_by_label("Reason").fill("thin book")
        drawer.get_by_role("button", name="Apply").click()
        expect(drawer.get_by_role("status")).to_contain_text(re.compile(r"Done: version [0-9a-f]{16} is in force"))
        assert is_uncovered(drawer.get_by_role("status"))
        change = drawer.locator("#operate-changes li").first
        expect(change).to_contain_text(re.compile(r"ann via desk . thin book"))
        assert api.get("/strategies/orderbook_skew/config").data["parameters"]["levels"] == 10
        change.get_by_role("button", name="Undo the newest").click()
        change.get_by_role("button", name="Undo", exact=True).click()
        expect(drawer.get_by_label("levels")).to_have_value("5")
        assert is_uncovered(drawer.get_by_role("status"))


@pytest.mark.ci
def test_what_was_set_after_any_change_is_brought_back_from_the_history(browser: Browser, stack: Stack):
    api = ApiCaller(stack.http_port)
    for value in (101, 102, 103):
        api.post("/strategies/depth_pressure/config", {"parameters": {"notional": value}, "reason": f"try {value}"})
    with signed_in(browser, stack) as page:
        drawer = open_strategy(page, "depth_pressure")
        drawer.get_by_label("Reason").fill("the first was best")
        oldest = drawer.locator("#operate-changes li", has_text="try 101")
        oldest.get_by_role("button", name="Back to this").click()
        oldest.get_by_role("button", name="Roll back", exact=True).click()
        expect(drawer.get_by_label("notional")).to_have_value("101")
        newest = drawer.locator("#operate-changes li").first
        expect(newest).to_contain_text(re.compile(r"ann via desk . .*the first was best"))
        expect(newest.get_by_role("button", name="Undo the newest")).to_be_visible()
        assert api.get("/strategies/depth_pressure/config").data["parameters"]["notional"] == 101


def test_gate_and_paper_account_are_changed_as_parameters_are(browser: Browser, stack: Stack):
    api = ApiCaller(stack.http_port)
    with signed_in(browser, stack) as page:
        drawer = open_strategy(page, "iceberg")
        drawer.get_by_label("Reason").fill("only what is sure")
        drawer.get_by_text("Gate", exact=True).click()
        drawer.get_by_label("gate.min_confidence").fill("2")
        drawer.get_by_role("button", name="Check the change").click()
        expect(drawer.locator(".fault", has_text="must be at most 1")).to_be_visible()
        drawer.get_by_label("gate.min_confidence").fill("0.7")
        drawer.get_by_text("Paper account", exact=True).click()
        drawer.get_by_label("paper.fees_bps.usdm.taker").fill("4")
        drawer.get_by_role("button", name="Check the change").click()
        expect(drawer.locator("#parameters-check tbody tr")).to_have_text(
            [
                re.compile(r"iceberg\.gate\.min_confidence\D+0\.7$"),
                re.compile(r"iceberg\.paper\.fees_bps\.usdm\.taker\D+4$"),
            ]
        )
        assert api.get("/strategies/iceberg/config").data["values"] == {}
        drawer.get_by_role("button", name="Apply").click()
        expect(drawer.get_by_role("status")).to_contain_text("Done")
        values = {"gate.min_confidence": 0.7, "paper.fees_bps.usdm.taker": 4}
        assert api.get("/strategies/iceberg/config").data["values"] == values
        expect(drawer.get_by_label("gate.min_confidence")).to_have_value("0.7")
        drawer.get_by_label("gate.min_confidence").fill("")
        drawer.get_by_role("button", name="Check the change").click()
        drawer.get_by_role("button", name="Apply").click()
        expect(drawer.get_by_label("gate.min_confidence")).to_have_value("0")
        drawer.get_by_label("Of symbol").select_option("BTCUSDT")
        expect(drawer.get_by_text("Gate", exact=True)).to_have_count(0)
        expect(drawer.get_by_text("Paper account", exact=True)).to_be_visible()
        expect(drawer.get_by_text("unless set 4, as for all symbols")).to_have_count(1)


def test_done_is_told_when_what_is_in_force_is_shown_and_can_be_typed_over(browser: Browser, stack: Stack):
    with signed_in(browser, stack) as page:
        drawer = open_strategy(page, "orderbook_skew")
        drawer.get_by_label("Reason").fill("slower")
        drawer.get_by_label("buy_ratio").fill("4")
        drawer.get_by_role("button", name="Check the change").click()
        apply = drawer.get_by_role("button", name="Apply")
        expect(apply).to_be_visible()
        with held_back(page, "GET", "**/strategies/orderbook_skew/config"):
            with page.expect_request(lambda request: request.method == "GET" and request.url.endswith("/config")):
                apply.click()
            expect(drawer.locator("#parameters")).to_have_js_property("inert", True)  # noqa: FBT003 a property's value
            expect(drawer.get_by_role("status")).not_to_contain_text("Done")
        expect(drawer.get_by_role("status")).to_contain_text("Done")
        expect(drawer.locator("#parameters")).to_have_js_property("inert", False)  # noqa: FBT003


def test_a_check_of_values_that_were_changed_meanwhile_offers_nothing(browser: Browser, stack: Stack):
    with signed_in(browser, stack) as page:
        drawer = open_strategy(page, "depth_pressure")
        drawer.get_by_label("notional").fill("71")
        with held_back(page, "POST", "**/strategies/depth_pressure/config"):
            with page.expect_request(lambda request: request.method == "POST"):
                drawer.get_by_role("button", name="Check the change").click()
            drawer.get_by_label("notional").fill("72")
        expect(drawer.get_by_role("status")).to_contain_text("Checked")
        expect(drawer.get_by_role("button", name="Apply")).to_have_count(0)
        drawer.get_by_role("button", name="Check the change").click()
        expect(drawer.locator("#parameters-check tbody tr")).to_contain_text("72")


@pytest.mark.ci
def test_what_holds_for_all_strategies_is_changed_too(browser: Browser, stack: Stack):
    api = ApiCaller(stack.http_port)
    with signed_in(browser, stack) as page:
        page.get_by_role("button", name="Change all strategies").click()
        drawer = page.get_by_role("dialog", name="All strategies")
        expect(drawer.get_by_text("Live: nothing is held back for all")).to_be_visible()
        drawer.get_by_label("Reason").fill("calm down")
        drawer.get_by_text("Gate", exact=True).click()
        drawer.get_by_label("gate.max_signals_per_hour").fill("30")
        drawer.get_by_role("button", name="Check the change").click()
        expect(drawer.locator("#parameters-check tbody tr")).to_have_text(
            re.compile(r"^gate\.max_signals_per_hour\D+30$")
        )
        drawer.get_by_role("button", name="Apply").click()
        expect(drawer.get_by_role("status")).to_contain_text("Done")
        assert all_findings(page) == []
        assert api.get("/strategies/all/config").data["gate"]["max_signals_per_hour"] == 30
        page.keyboard.press("Escape")
        drawer = open_strategy(page, "price_velocity")
        drawer.get_by_text("Gate", exact=True).click()
        expect(drawer.get_by_text("With it, in force: gate.max_signals_per_hour 30.")).to_be_visible()
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Change all strategies").click()
        drawer = page.get_by_role("dialog", name="All strategies")
        drawer.get_by_label("Reason").fill("enough")
        drawer.get_by_role("button", name="Undo the newest").click()
        drawer.get_by_role("button", name="Undo", exact=True).click()
        expect(drawer.get_by_label("gate.max_signals_per_hour")).to_have_value("")


@pytest.mark.ci
def test_a_change_by_somebody_else_meanwhile_is_told_and_kept(browser: Browser, stack: Stack):
    api = ApiCaller(stack.http_port)
    with signed_in(browser, stack) as page:
        drawer = open_strategy(page, "depth_pressure")
        drawer.get_by_label("Reason").fill("calm")
        api.post("/strategies/depth_pressure/config", {"parameters": {"notional": 77}})
        drawer.get_by_label("min_signal_interval_s").fill("9")
        drawer.get_by_role("button", name="Check the change").click()
        expect(drawer.get_by_role("status")).to_contain_text("check your change again")
        expect(drawer.get_by_label("notional")).to_have_value("77")
        expect(drawer.get_by_label("min_signal_interval_s")).to_have_value("9")
        drawer.get_by_role("button", name="Check the change").click()
        drawer.get_by_role("button", name="Apply").click()
        expect(drawer.get_by_role("status")).to_contain_text("Done")
        parameters = api.get("/strategies/depth_pressure/config").data["parameters"]
        assert (parameters["notional"], parameters["min_signal_interval_s"]) == (77, 9)


@pytest.mark.ci
def test_a_strategy_is_paused_and_revived_by_keyboard_on_a_phone(browser: Browser, stack: Stack):
    with signed_in(browser, stack, width=380) as page:
        drawer = open_strategy(page, "iceberg")
        drawer.get_by_label("Reason").fill("odd books")
        assert all_findings(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 380
        drawer.get_by_role("button", name="Pause").press("Enter")
        expect(drawer.locator("#operate-state")).to_contain_text("Paused")
        drawer.get_by_role("button", name="Resume").press("Enter")
        expect(drawer.locator("#operate-state")).to_contain_text("Live")
        drawer.get_by_role("button", name="Kill").press("Enter")
        page.keyboard.press("Enter")
        expect(drawer.locator("#operate-state")).to_contain_text("Killed")
        page.keyboard.press("Escape")
        expect(page.locator("#strategies tr", has_text="iceberg")).to_contain_text("killed")
        page.get_by_role("button", name="Change iceberg").click()
        drawer.get_by_label("Reason").fill("calm again")
        drawer.get_by_role("button", name="Revive").press("Enter")
        expect(drawer.locator("#operate-state")).to_contain_text("Live")


@pytest.mark.parametrize(("strategy", "kind"), [("orderbook_skew", "depth"), ("trade_momentum", "trade")])
def test_what_led_to_a_signal_is_run_again_on_the_page(browser: Browser, stack: Stack, strategy: str, kind: str):
    with signed_in(browser, stack) as page:
        page.locator("#by-strategy").select_option(strategy)
        page.locator("#signals .explained").first.press("Enter")
        drawer = page.locator("#signal")
        drawer.get_by_role("button", name="Run it again").click()
        expect(drawer.get_by_text("The same signal came out, byte for byte (stream FRAMES).")).to_be_visible()
        expect(
            drawer.get_by_role("region", name="Number, Value, Threshold, Met").locator("tbody tr").first
        ).to_be_visible()
        expect(drawer.locator(".decision dt", has_text="min_confidence")).to_be_visible()
        event = drawer.locator(".decision > h4:text-is('Event') + *")
        expect(event).to_contain_text(re.compile(rf"kind{kind}venue\w+symbol[A-Z\d]+id\d+"))
        if kind == "depth":
            levels = event.get_by_role("region", name="Level, Bid quantity, Bid, Ask, Ask quantity").locator("tbody tr")
            expect(levels).to_have_count(5)
            expect(levels.first).to_have_text(re.compile(r"^1[\d.]{4,}$"))
        else:
            expect(event).to_contain_text(re.compile(r"price[\d.]+quantity[\d.]+buyer_is_maker(true|false)"))
        # Of several books on one page each has the same name, which is only advised against.
        assert grave_findings(page) == []


def test_an_operator_finds_a_signal_of_long_ago_by_its_link(browser: Browser, stack: Stack):
    held = {"id": "of-long-ago", "strategy": "iceberg", "symbol": "BTCUSDT", "action": "buy", "price": 60_000.0}
    held |= {"trigger": {"venue": "spot", "symbol": "BTCUSDT", "kind": "depth", "id": 1}, "event_time_ms": 1}
    held |= {"config_version": "0" * 16, "rationale": "iceberg at 60000", "confidence": 0.5}
    with redis.Redis.from_url(stack.redis_url) as client:
        packed = json.dumps({"reason": "cool_down", "signal": held})
        client.xadd(LedgerKeys(stack.settings.namespace).held, {"held": packed})
    with signed_in(browser, stack) as page:
        page.evaluate("location.hash = 'signal=of-long-ago'")
        drawer = page.locator("#signal")
        expect(drawer.get_by_role("status").first).to_have_text("The gate held it back: cool_down.")
        expect(drawer).to_contain_text("iceberg at 60000")


def test_a_dead_letter_is_shown_with_its_frame_retried_and_dropped(browser: Browser, stack: Stack):
    with signed_in(browser, stack) as page:
        letters.add_refused(stack)
        page.locator("#letters tr", has_text="not JSON").get_by_role("button", name="Open").click()
        drawer = page.get_by_role("dialog", name="Dead letter")
        expect(drawer.get_by_role("region", name="Frame")).to_have_text('{"e": <b>broken</b>')
        assert all_findings(page) == []
        drawer.get_by_role("button", name="Retry").click()
        expect(drawer.get_by_role("status")).to_have_text("The same again: not_json. It stays.")
        drawer.get_by_role("button", name="Drop").click()
        drawer.get_by_role("button", name="Drop", exact=True).click()
        expect(drawer.get_by_role("status")).to_have_text("1 dropped")
        page.keyboard.press("Escape")
        expect(page.locator("#letters tr", has_text="market.x")).to_have_count(1)
        page.locator("#letters-all").get_by_role("button", name="Drop these").click()
        page.locator("#letters-all").get_by_role("button", name="Drop", exact=True).click()
        expect(page.locator("#letters-empty")).to_have_text("There are none.")


@pytest.mark.ci
def test_a_dead_letter_that_is_applied_is_gone(browser: Browser, stack: Stack):
    with signed_in(browser, stack) as page:
        letters.add_condemned(stack, "ADAUSDT")
        line = page.locator("#letters tr", has_text="ADAUSDT")
        line.get_by_role("button", name="Open").click()
        drawer = page.get_by_role("dialog", name="Dead letter")
        drawer.get_by_role("button", name="Retry").click()
        expect(drawer.get_by_role("status")).to_have_text("Applied in the pool trade. The letter is removed.")
        expect(drawer.get_by_role("button", name="Retry")).to_have_count(0)
        expect(drawer.get_by_role("button", name="Close")).to_be_focused()
        page.keyboard.press("Escape")
        expect(line).to_have_count(0)


@pytest.mark.ci
def test_all_letters_that_are_listed_are_retried_together(browser: Browser, stack: Stack):
    with signed_in(browser, stack) as page:
        letters.add_condemned(stack, "XRPUSDT")
        letters.add_condemned(stack, "TRXUSDT")
        page.locator("#letters-reason").select_option("condemned")
        expect(page.locator("#letters tr")).to_have_count(2)
        page.locator("#letters-all").get_by_role("button", name="Retry these").click()
        page.locator("#letters-all").get_by_role("button", name="Retry", exact=True).click()
        expect(page.locator("#letters-told")).to_have_text("2 applied")
        expect(page.locator("#letters-empty")).to_have_text("None has this reason.")
