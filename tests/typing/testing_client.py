"""The test client."""

from typing import Any, assert_type

import trio
from werkzeug.datastructures import Headers

from triows import Response, ServerSentEvent, Triows
from triows.testing import (
    FileStorage,
    HTTPDisconnectError,
    LifespanError,
    MemoryStream,
    TestApp,
    TestClient,
    TestCliRunner,
    TestHTTPConnection,
    TestWebSocket,
    WebsocketDisconnectError,
    WebsocketResponseError,
    make_test_body_with_headers,
    make_test_headers_path_and_query_string,
    make_test_scope,
    memory_stream_pair,
)

app = Triows(__name__)
client = app.test_client()
assert_type(client, TestClient)
assert_type(app.test_client(use_cookies=False), TestClient)
assert_type(app.test_cli_runner(mix_stderr=False), TestCliRunner)
assert_type(app.test_app(), TestApp)


async def requests() -> None:
    assert_type(await client.get("/"), Response)
    assert_type(await client.post("/", json={"a": 1}, headers={"X-Header": "value"}), Response)
    assert_type(await client.put("/", data=b""), Response)
    assert_type(await client.patch("/", form={"a": "1"}), Response)
    assert_type(await client.delete("/"), Response)
    assert_type(await client.head("/"), Response)
    assert_type(await client.options("/"), Response)
    assert_type(await client.trace("/"), Response)
    assert_type(await client.open("/", method="POST", query_string={"page": 2}, auth=("me", "secret")), Response)
    assert_type((await client.get("/")).status_code, int)
    assert_type(await (await client.get("/")).get_data(), bytes)
    assert_type(await (await client.get("/")).get_json(), Any)
    await client.open("/", files={"upload": FileStorage(filename="a.txt")})
    await client.get(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.open("/", method=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.open("/", cookies={})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.get("/").status_code  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018


async def blocks() -> None:
    async with client as same:
        assert_type(same, TestClient)
    async with client.keep_alive() as kept:
        assert_type(kept, TestClient)
    async with client.session_transaction() as session:
        session["user"] = "me"
    async with app.test_app() as test_app:
        assert_type(test_app, TestApp)
        assert_type(test_app.test_client(), TestClient)
        assert_type(await test_app.startup(), None)
        assert_type(await test_app.shutdown(), None)
    with client:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass


async def a_connection() -> None:
    async with client.request("/", method="POST") as connection:
        assert_type(connection, TestHTTPConnection)
        assert_type(await connection.send(b"body"), None)
        assert_type(await connection.send_complete(), None)
        assert_type(await connection.receive(), bytes)
        assert_type(await connection.receive_event(), ServerSentEvent | None)
        async for event in connection.events():
            assert_type(event, ServerSentEvent)
        assert_type(await connection.as_response(), Response)
        assert_type(await connection.disconnect(), None)
        assert_type(connection.stall(), None)
        assert_type(connection.resume(), None)
        await connection.send("body")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def a_websocket() -> None:
    async with client.websocket("/ws", subprotocols=["chat"], headers={"Origin": "https://example.org"}) as ws:
        assert_type(ws, TestWebSocket)
        assert_type(await ws.send("text"), None)
        assert_type(await ws.send(b"binary"), None)
        assert_type(await ws.receive(), str | bytes)
        assert_type(await ws.send_json({"a": 1}), None)
        assert_type(await ws.receive_json(), Any)
        async for message in ws:
            assert_type(message, str | bytes)
        assert_type(ws.accepted, bool)
        assert_type(ws.status_code, int | None)
        assert_type(ws.headers, Headers | None)
        assert_type(ws.subprotocol, str | None)
        assert_type(ws.close_code, int | None)
        assert_type(ws.close_reason, str | None)
        assert_type(await ws.ping(), None)
        assert_type(await ws.close(1000, "bye"), None)
        assert_type(await ws.disconnect(), None)
        assert_type(await ws.reset(), None)
        assert_type(await ws.wait_closed(), None)
        assert_type(ws.stall(), None)
        assert_type(ws.resume(), None)
        await ws.send(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await ws.close("bye")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.websocket("/ws")  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]


def cookies() -> None:
    assert_type(client.set_cookie("localhost", "name", "value", samesite="Lax"), None)
    assert_type(client.delete_cookie("localhost", "name"), None)
    client.set_cookie("localhost", "name", samesite="Sometimes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.set_cookie("localhost")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def helpers() -> None:
    assert_type(memory_stream_pair(1024), tuple[MemoryStream, MemoryStream])
    stream: trio.abc.HalfCloseableStream = memory_stream_pair()[0]
    assert_type(make_test_body_with_headers(json={"a": 1}), tuple[bytes, Headers])
    assert_type(make_test_headers_path_and_query_string(app, "/", {"a": "b"}), tuple[Headers, str, bytes])
    assert_type(
        make_test_scope("http", "/", "GET", Headers(), b"", "http", "", "1.1"),
        dict[str, Any],
    )
    memory_stream_pair("1 KiB")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    del stream


async def use_a_stream(stream: MemoryStream) -> None:
    assert_type(await stream.send_all(b""), None)
    assert_type(await stream.receive_some(), bytes)
    assert_type(await stream.send_eof(), None)
    assert_type(stream.reset(), None)
    assert_type(stream.stall(), None)


try:
    ...
except (HTTPDisconnectError, LifespanError):
    ...
except WebsocketDisconnectError as error:
    assert_type(error.code, int)
except WebsocketResponseError as error:
    assert_type(error.response.status_code, Any)
