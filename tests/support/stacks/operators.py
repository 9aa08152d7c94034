"""The live page, signed in as an operator."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Locator, Page, Route, expect

from compose.local.stack import Stack
from tests.support.servers.api import TOKEN
from tests.support.stacks.live_page import opened

_IS_ON_TOP = """element => {
    const { x, y, width, height } = element.getBoundingClientRect();
    return element.contains(document.elementFromPoint(x + width / 2, y + height / 2));
}"""


@contextmanager
def signed_in(browser: Browser, stack: Stack, width: int = 1280, **options: Any) -> Iterator[Page]:
    with opened(browser, stack, viewport={"width": width, "height": 800}, **options) as page:
        page.get_by_role("button", name="Sign in").click()
        sign_in(page, TOKEN)
        expect(page.locator("#sign-in")).to_be_hidden()
        yield page


def sign_in(page: Page, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.get_by_label("Your name, for the history").fill("ann")
    page.keyboard.press("Enter")


def open_strategy(page: Page, name: str) -> Locator:
    page.get_by_role("button", name=f"Change {name}").click()
    drawer = page.get_by_role("dialog", name=name)
    expect(drawer.get_by_text("Live: signals go out")).to_be_visible()
    return drawer


def is_uncovered(message: Locator) -> bool:
    """Whether one sees what is told: the title of a drawer stays at its top and covers what is scrolled under it."""
    return bool(message.evaluate(_IS_ON_TOP))


@contextmanager
def held_back(page: Page, method: str, path: str) -> Iterator[None]:
    """Hold back the first request of this kind, until the block ends."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.method == method and not held:
            held.append(route)
        else:
            route.continue_()

    page.route(path, hold)
    yield
    held[0].continue_()
