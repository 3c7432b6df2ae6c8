"""The chat's page in a real browser, against ``triows run`` as a user starts it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from .servers import ExampleServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

pytestmark = pytest.mark.browser


@pytest.fixture
def server() -> Iterator[ExampleServer]:
    server = ExampleServer("chat")
    server.start()
    yield server
    server.stop()


Open = Callable[..., "Page"]


@pytest.fixture
def open_page(browser: Browser, server: ExampleServer) -> Iterator[Open]:
    """Open the chat in a browser of its own: windows share nothing. What goes wrong in a page fails the test."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # The browser itself writes down each attempt to reach a server that is gone.
        if message.type in ("error", "warning") and "net::ERR_CONNECTION_REFUSED" not in message.text:
            errors.append(message.text)

    def open_page(name: str | None = None) -> Page:
        context = browser.new_context()
        contexts.append(context)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"http://127.0.0.1:{server.port}/")
        if name is not None:
            join(page, name)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def join(page: Page, name: str) -> None:
    """Join as a keyboard's user does: the field has the focus."""
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    page.get_by_text(f"Online as {name}").wait_for()


def say(page: Page, text: str) -> None:
    """Say something by the keyboard alone: the field has the focus after joining."""
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def expect_message(page: Page, text: str) -> None:
    page.get_by_role("log", name="Messages").get_by_text(text, exact=True).wait_for()


def expect_names(page: Page, *names: str) -> None:
    from playwright.sync_api import expect

    expect(page.get_by_role("complementary", name="Here now").locator("bdi")).to_have_text([*names])


def test_two_windows_talk(open_page: Open) -> None:
    ada, grace = open_page("Ada"), open_page("Grace")
    say(ada, "Good morning!")
    expect_message(grace, "Good morning!")
    say(grace, "Hello, Ada.")
    expect_message(ada, "Hello, Ada.")


def test_the_page_shows_who_is_here(open_page: Open) -> None:
    ada, grace = open_page("Ada"), open_page("Grace")
    expect_names(ada, "Ada", "Grace")
    grace.close()
    expect_names(ada, "Ada")


def test_leaving_the_chat_leads_back_to_the_door(open_page: Open) -> None:
    ada, grace = open_page("Ada"), open_page("Grace")
    grace.get_by_role("button", name="Leave").press("Enter")
    expect_names(ada, "Ada")
    grace.get_by_label("Your name").fill("Hopper")
    grace.keyboard.press("Enter")
    expect_names(ada, "Ada", "Hopper")


def test_a_reload_keeps_the_name_and_shows_the_history(open_page: Open) -> None:
    ada = open_page("Ada")
    say(ada, "I was here before.")
    expect_message(ada, "I was here before.")
    ada.reload()
    ada.get_by_text("Online as Ada").wait_for()
    expect_message(ada, "I was here before.")
    expect_names(ada, "Ada")


def test_markup_is_shown_as_text(open_page: Open) -> None:
    text = "<img src=x onerror=alert(1)><script>alert(2)</script> &amp;"
    ada, grace = open_page("Ada"), open_page("<b>Grace</b>")
    dialogs: list[object] = []
    grace.on("dialog", lambda dialog: dialogs.append(dialog))
    say(ada, text)
    expect_message(grace, text)
    expect_names(ada, "<b>Grace</b>", "Ada")
    assert grace.locator("#messages img, #messages script").count() == 0
    assert dialogs == []


def test_a_name_that_is_taken_is_refused(open_page: Open) -> None:
    open_page("Ada")
    other = open_page()
    other.keyboard.type("ada")
    other.keyboard.press("Enter")
    other.get_by_role("alert").get_by_text("name already").wait_for()
    other.get_by_label("Your name").fill("Ida")
    other.keyboard.press("Enter")
    expect_names(other, "Ada", "Ida")


def test_the_page_comes_back_when_the_server_does(open_page: Open, server: ExampleServer) -> None:
    ada, grace = open_page("Ada"), open_page("Grace")
    say(ada, "Before.")
    expect_message(grace, "Before.")
    server.stop()
    for page in (ada, grace):
        page.get_by_text("The server has gone").wait_for()
    ada.keyboard.type("After.")  # what is written meanwhile stays
    ada.keyboard.press("Enter")
    server.start()
    for page in (ada, grace):
        page.get_by_text("Online as").wait_for()
    ada.keyboard.press("Enter")
    expect_message(grace, "After.")
    expect_message(grace, "Before.")
    expect_names(grace, "Ada", "Grace")


def test_the_page_can_be_told_to_try_at_once(open_page: Open, server: ExampleServer) -> None:
    ada = open_page("Ada")
    ada.clock.install(time=0)
    ada.clock.pause_at(1)  # of itself it does not try again
    server.stop()
    retry = ada.get_by_role("button", name="Try now")
    retry.wait_for()
    server.start()
    retry.press("Enter")
    ada.get_by_text("Online as Ada").wait_for()
