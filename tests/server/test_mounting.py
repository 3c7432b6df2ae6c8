"""An app that is mounted under a path, over memory streams."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from trio.testing import memory_stream_pair

from triows import Triows, request, url_for
from triows.server.mounting import mounted
from triows.server.serving import Server

from ..support.wire import Wire


@pytest.mark.parametrize("root", ["/chat", "/chat/"])
@pytest.mark.parametrize("stripped", [True, False])
async def test_urls_are_below_the_root_path_whether_or_not_the_proxy_takes_it_away(root: str, stripped: bool) -> None:
    app = Triows("mounted")

    @app.get("/room")
    async def room() -> str:
        return f"{request.root_path} {request.path} {url_for('room')}"

    path = "/room" if stripped else "/chat/room"
    mine, its = memory_stream_pair()
    async with trio.open_nursery() as nursery, app.serving():
        nursery.start_soon(partial(Server(app, root_path=root).run_stream, its))
        wire = Wire(mine)
        await wire.send(f"GET {path} HTTP/1.1\r\nHost: example\r\nConnection: close\r\n\r\n".encode())
        response = await wire.read_response()
        assert response.body.decode() == "/chat /room /chat/room"
        await mine.aclose()


def test_no_root_path_costs_nothing() -> None:
    app = Triows("mounted")
    handle = app.handle
    assert mounted(handle, "") is mounted(handle, "/") is handle


def test_a_root_path_that_is_no_path_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^root_path is 'chat'; it begins with a slash, like '/chat'$"):
        mounted(Triows("mounted").handle, "chat")
