"""The test client makes an app see what an independent client makes it see over TCP: aiohttp, and its websockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

import aiohttp
import pytest
import trio

from triows import FileStorage, Triows, request, websocket

from .conftest import GUARD

OCTETS = "application/octet-stream"  # aiohttp names a type of empty bodies too


def head(subject: Any) -> dict[str, Any]:
    sent = ("x-", "cookie", "authorization", "content-type")
    headers = [(name.lower(), value) for name, value in subject.headers if name.lower().startswith(sent)]
    return {
        "path": subject.path,
        "args": subject.args.to_dict(flat=False),
        "headers": sorted(pair for pair in headers if pair[1] != OCTETS and "boundary" not in pair[1]),
        "cookies": subject.cookies.to_dict(),
        "user": subject.authorization and [subject.authorization.username, subject.authorization.password],
    }


def make_app() -> Triows:
    app = Triows(__name__)

    @app.post("/<path:path>")
    async def see(path: str) -> dict[str, Any]:
        files = (await request.files).items(multi=True)
        seen = [(name, file.filename, file.content_type, file.read().decode("latin-1")) for name, file in files]
        value = await request.get_json(silent=True)
        data = "" if seen or value else (await request.get_data()).decode("latin-1")
        return {
            **head(request),
            "form": (await request.form).to_dict(flat=False),
            "files": seen,
            "json": value,
            "data": data,
        }

    @app.websocket("/<path:path>")
    async def socket(path: str) -> None:
        seen = {**head(websocket), "offered": websocket.requested_subprotocols}
        await websocket.accept(subprotocol=next(iter(seen["offered"]), None))
        await websocket.send(json.dumps(seen))
        async for message in websocket:
            await websocket.send(message)

    return app


def form_of_aiohttp() -> aiohttp.FormData:
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("fü", b"\xff\r\n--", filename="naïve →.txt", content_type="text/plain")
    form.add_field("a", "→")
    return form


FILES = {"fü": FileStorage(BytesIO(b"\xff\r\n--"), filename="naïve →.txt", content_type="text/plain")}


def pairs() -> dict[str, Any]:
    return {"params": [("a", "1"), ("a", "ü")]}


# What the test client is given; what aiohttp is given, if that is something else.
REQUESTS: dict[str, tuple[dict[str, Any], Callable[[], dict[str, Any]]]] = {
    "path": ({"path": "/ü/→ x/100%25?q=ü&r=a%20b+c#f"}, dict),
    "encoded path": ({"path": "/%C3%BC;v=1,2:@&=+$!*'()~"}, dict),
    "query": ({"path": "/", "query_string": {"ü": "→ &=+%#"}}, lambda: {"params": {"ü": "→ &=+%#"}}),
    "repeated query": ({"path": "/", "query_string": [("a", "1"), ("a", "ü")]}, pairs),
    "headers": ({"path": "/", "headers": [("X-A", "1"), ("X-A", "2")]}, dict),
    "text beyond latin-1 in a header": ({"path": "/", "headers": {"X-A": "→ü"}}, dict),
    "form": ({"path": "/", "form": {"ü→": "é &=+%\r\nx"}}, lambda: {"data": {"ü→": "é &=+%\r\nx"}}),
    "files": ({"path": "/", "form": {"a": "→"}, "files": FILES}, lambda: {"data": form_of_aiohttp()}),
    "json": ({"path": "/", "json": {"ü": ["→", "\U0001f600", None, 1.5]}}, dict),
    "data": ({"path": "/", "data": "ü→".encode(), "headers": {"Content-Type": "text/x"}}, dict),
    "cookies": ({"path": "/", "headers": {"Cookie": 'a=1; b="x y"'}}, dict),
}


async def by_aiohttp(app: Triows, scenario: Callable[[aiohttp.ClientSession, str], Any]) -> Any:
    async def talk(base: str) -> Any:
        async with asyncio.timeout(GUARD), aiohttp.ClientSession() as session:
            return await scenario(session, base)

    async with trio.open_nursery() as nursery:
        server = await nursery.start(app.serve, "127.0.0.1", 0)
        result = await trio.to_thread.run_sync(lambda: asyncio.run(talk(f"http://127.0.0.1:{server.port}")))
        nursery.cancel_scope.cancel()
    return result


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_is_seen_as_that_of_another_client(name: str) -> None:
    app, (options, others) = make_app(), REQUESTS[name]
    path, options = options["path"].replace("/", "/x", 1), {k: v for k, v in options.items() if k != "path"}

    async def scenario(session: aiohttp.ClientSession, base: str) -> Any:
        kwargs = others() or options
        async with session.post(base + path, **kwargs) as response:
            return await response.json()

    response = await app.test_client().post(path, **options)
    assert await response.get_json() == await by_aiohttp(app, scenario)


@pytest.mark.parametrize(
    ("path", "subprotocols", "headers"),
    [
        ("/ü/→ x?q=ü", [], {}),
        ("/a", ["v2", "chat.v1"], {}),
        ("/a", [], {"X-A": "→", "Cookie": "a=1"}),
    ],
)
async def test_a_websocket_is_seen_as_that_of_another_client(
    path: str, subprotocols: list[str], headers: dict[str, str]
) -> None:
    app = make_app()

    async def scenario(session: aiohttp.ClientSession, base: str) -> Any:
        async with session.ws_connect(base + path, protocols=subprotocols, headers=headers) as ws:
            seen = await ws.receive_str()
            await ws.send_str("ü→")
            await ws.send_bytes(b"\xff")
            return [json.loads(seen), ws.protocol, await ws.receive_str(), await ws.receive_bytes()]

    async with app.test_client().websocket(path, subprotocols=subprotocols, headers=headers) as ws:
        seen = await ws.receive_json()
        await ws.send("ü→")
        await ws.send(b"\xff")
        assert [seen, ws.subprotocol, await ws.receive(), await ws.receive()] == await by_aiohttp(app, scenario)
