"""Flashed messages: flash() and get_flashed_messages()."""

from __future__ import annotations

from typing import Any

import pytest

from triows import (
    Triows,
    flash,
    get_flashed_messages,
    redirect,
    render_template_string,
    session,
    websocket,
)
from triows.testing import WebsocketResponseError


@pytest.fixture
def app() -> Triows:
    app = Triows(__name__)
    app.secret_key = "secret"

    @app.post("/")
    async def save() -> Any:
        await flash("Saved", "info")
        await flash("<b>Late</b>", "error")
        await flash("plain")
        return redirect("/")

    @app.get("/")
    async def show() -> str:
        source = "{% for category, message in get_flashed_messages(True) %}{{ category }}: {{ message }}\n{% endfor %}"
        return await render_template_string(source)

    return app


async def test_messages_are_shown_by_the_next_page_and_only_once(app: Triows) -> None:
    client = app.test_client()
    for text in ("info: Saved\nerror: &lt;b&gt;Late&lt;/b&gt;\nmessage: plain\n", ""):
        response = await client.post("/", follow_redirects=True) if text else await client.get("/")
        assert await response.get_data(as_text=True) == text


async def test_messages_are_the_same_until_the_request_ends(app: Triows) -> None:
    async with app.test_request_context("/"):
        await flash("a", "error")
        await flash("b")
        for _ in range(2):
            assert get_flashed_messages() == ["a", "b"]
            assert get_flashed_messages(with_categories=True) == [("error", "a"), ("message", "b")]
        await flash("c")
        assert get_flashed_messages() == ["a", "b"]
        assert session["_flashes"] == [("message", "c")]


@pytest.mark.parametrize(
    ("categories", "messages"),
    [(["error"], ["a"]), ({"info", "error"}, ["a", "b"]), ((), ["a", "b", "c"]), (["none"], []), ("error", ["a"])],
)
async def test_messages_are_filtered_by_their_categories(app: Triows, categories: Any, messages: list[str]) -> None:
    async with app.test_request_context("/"):
        for message, category in (("a", "error"), ("b", "info"), ("c", "message")):
            await flash(message, category)
        assert get_flashed_messages(category_filter=categories) == messages
        assert "_flashes" not in session


async def test_a_page_without_messages_leaves_the_session_as_it_is(app: Triows) -> None:
    response = await app.test_client().get("/")
    assert "Set-Cookie" not in response.headers
    assert response.headers["Vary"] == "Cookie"


async def test_without_a_secret_key_there_are_no_messages(app: Triows) -> None:
    app.secret_key = None
    async with app.test_request_context("/"):
        assert get_flashed_messages() == []
        with pytest.raises(RuntimeError, match=r"no secret key; set app\.secret_key"):
            await flash("lost")


async def test_outside_of_a_request_there_are_no_messages(app: Triows) -> None:
    async with app.app_context():
        with pytest.raises(RuntimeError, match=r"^flash\(\) is only available while a request or websocket is handled"):
            await flash("lost")
        with pytest.raises(RuntimeError, match=r"^get_flashed_messages\(\) is only available while a request"):
            get_flashed_messages()


async def test_a_websocket_has_the_messages_of_its_session(app: Triows) -> None:
    @app.websocket("/ws")
    async def ws() -> None:
        await flash("from the websocket")
        await websocket.accept()
        await websocket.send_json(get_flashed_messages())

    client = app.test_client()
    await client.post("/")
    async with client.websocket("/ws") as socket:
        assert await socket.receive_json() == ["Saved", "<b>Late</b>", "plain", "from the websocket"]


async def test_a_message_of_a_websocket_before_it_is_accepted_is_for_the_next_page(app: Triows) -> None:
    @app.websocket("/ws")
    async def ws() -> Any:
        await flash("from the websocket")
        if websocket.args:
            return "refused", 403
        return await websocket.accept()

    client = app.test_client()
    async with client.websocket("/ws"):
        pass
    assert await (await client.get("/")).get_data() == b"message: from the websocket\n"
    with pytest.raises(WebsocketResponseError):
        async with client.websocket("/ws?refuse=1"):
            pass


async def test_flashed_text_may_be_safe_in_html(app: Triows) -> None:
    from markupsafe import Markup

    @app.get("/safe")
    async def safe() -> Any:
        await flash(Markup("<b>{}</b>").format("<"))
        return redirect("/")

    client = app.test_client()
    response = await client.get("/safe", follow_redirects=True)
    assert await response.get_data(as_text=True) == "message: <b>&lt;</b>\n"
