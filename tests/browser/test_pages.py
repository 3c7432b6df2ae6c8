"""The pages of the examples of server-sent events and of the login, CORS and compression, in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .servers import ExampleServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Serve = Callable[[str | Path], ExampleServer]
pytestmark = pytest.mark.browser


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers = []

    def start(name: str | Path) -> ExampleServer:
        server = ExampleServer(name)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


def expect_notes(page: Page, *notes: str) -> None:
    from playwright.sync_api import expect

    expect(page.get_by_role("list", name="Notes").get_by_role("listitem")).to_have_text([*notes])


def write(page: Page, text: str) -> None:
    page.get_by_label("A note for everybody").fill(text)
    page.get_by_role("button", name="Write").click()


def test_events_reach_both_windows_and_the_page_connects_again(browser: Browser, serve: Serve) -> None:
    server = serve("events")
    one, other = browser.new_page(), browser.new_page()
    for page in (one, other):
        page.goto(f"http://127.0.0.1:{server.port}/")
        page.get_by_text("Connected", exact=True).wait_for()
    write(one, "hello")
    for page in (one, other):
        expect_notes(page, "hello")
    server.stop()  # in order, although the streams have no end
    one.get_by_text("Connecting", exact=True).wait_for()
    server.start()
    one.get_by_text("Connected", exact=True).wait_for()
    write(one, "again")
    for page in (one, other):
        expect_notes(page, "again", "hello")
        page.close()


def test_the_logout_ends_the_websocket_of_another_window(browser: Browser, serve: Serve) -> None:
    server = serve("login")
    context = browser.new_context()
    one, other = context.new_page(), context.new_page()
    one.goto(f"http://127.0.0.1:{server.port}/")
    one.get_by_label("Name").fill("ada")
    one.get_by_label("Password").fill("lovelace")
    one.get_by_role("button", name="Log in").click()
    one.get_by_text("Hello, ada!").wait_for()
    other.goto(f"http://127.0.0.1:{server.port}/")
    other.get_by_text("Hello, ada!").wait_for()
    one.get_by_role("button", name="Log out").click()
    other.get_by_role("heading", name="Log in").wait_for()
    context.close()


API = """
from triows import Triows, request, websocket

app = Triows(__name__)
app.compress()
app.cors(["http://127.0.0.1:PORT"], credentials=True, expose_headers=["X-Total"])


@app.before_request
async def members_only():
    if "X-Token" not in request.headers:
        return "no token", 401


@app.put("/long")
async def long():
    return "word " * 1000, {"X-Total": "5"}


@app.websocket("/ws")
async def ws():
    await websocket.send("hello")
"""
FETCH = """async ([path, method]) => {
    const response = await fetch(path, {method, headers: {"X-Token": "t"}, credentials: "include"});
    return [response.status, response.headers.get("X-Total"), (await response.text()).length];
}"""
CONNECT = """(url) => new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.onmessage = ({data}) => resolve(data);
    socket.onerror = () => reject(new Error("refused"));
})"""


def test_a_page_of_another_origin_reads_what_cors_lets_it(browser: Browser, serve: Serve, tmp_path: Path) -> None:
    pages = serve("events")
    file = tmp_path / "api.py"
    file.write_text(API.replace("PORT", f"{pages.port}"))
    api = serve(file)
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{pages.port}/")
    there = f"127.0.0.1:{api.port}"
    with page.expect_response(f"http://{there}/long") as answered:
        assert page.evaluate(FETCH, [f"http://{there}/long", "PUT"]) == [200, "5", 5000]
    assert answered.value.header_value("content-encoding") in ("zstd", "gzip")
    assert page.evaluate(FETCH, [f"http://{there}/nowhere", "PUT"])[:2] == [404, None]  # an error that a page can read
    assert page.evaluate(CONNECT, f"ws://{there}/ws") == "hello"
    stranger = browser.new_page()
    stranger.goto(f"http://localhost:{pages.port}/")
    for script, argument in ((FETCH, [f"http://{there}/long", "PUT"]), (CONNECT, f"ws://{there}/ws")):
        with pytest.raises(Exception, match=r"Failed to fetch|refused"):
            stranger.evaluate(script, argument)
    for opened in (page, stranger):
        opened.close()
