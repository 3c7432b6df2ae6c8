"""A websocket, as its handler uses it."""

from collections.abc import AsyncIterator
from typing import Any, Literal, assert_type

import trio
from werkzeug.datastructures import Authorization, Headers

from triows import Disconnect, WebSocket, websocket


async def messages() -> None:
    assert_type(await websocket.receive(), str | bytes)
    assert_type(await websocket.send("text"), None)
    assert_type(await websocket.send(b"binary"), None)
    assert_type(await websocket.receive_json(), Any)
    assert_type(await websocket.send_json({"a": 1}), None)
    await websocket.send_json(1, 2)
    await websocket.send_json(a=1)
    async for message in websocket:
        assert_type(message, str | bytes)
    (await websocket.receive()).encode()  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue]
    await websocket.send(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await websocket.send({"a": 1})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await websocket.send()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    list(websocket)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


def what_is_forgotten() -> None:
    websocket.receive().upper()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    websocket.send("text")  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    websocket.close()  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]


async def pieces() -> None:
    async with websocket.receive_stream() as stream:
        async for piece in stream:
            assert_type(piece, str | bytes)
    await websocket.send(texts())
    await websocket.send(numbers())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with websocket.receive_stream():  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass


async def texts() -> AsyncIterator[str]:
    yield ""


async def numbers() -> AsyncIterator[int]:
    yield 1


async def handshake() -> None:
    websocket.accept()
    await websocket.accept()
    assert_type(await websocket.accept(headers={"X-Header": "value"}, subprotocol="chat"), None)
    websocket.accept(headers=[("X-Header", "value")])
    websocket.accept(headers=Headers())
    websocket.accept(subprotocol=["chat"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    websocket.accept("chat")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def the_end() -> None:
    assert_type(await websocket.close(1000, "bye"), None)
    assert_type(await websocket.ping(), float)
    assert_type(websocket.latency, float | None)
    await websocket.close("bye")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await websocket.close(reason=b"bye")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(websocket.disconnect, Disconnect | None)
    if websocket.disconnect is not None:
        assert_type(websocket.disconnect.code, int)
        assert_type(websocket.disconnect.reason, str)
        assert_type(
            websocket.disconnect.kind, Literal["closed", "lost", "protocol_error", "timeout", "shutdown", "server"]
        )
        if websocket.disconnect.kind == "gone":  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
            ...
        websocket.disconnect.code = 1000  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    websocket.disconnect.code  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]  # noqa: B018


def the_request_that_it_was(websocket: WebSocket) -> None:
    assert_type(websocket.headers, Headers)
    assert_type(websocket.headers["Host"], str)
    assert_type(websocket.authorization, Authorization | None)
    assert_type(websocket.path, str)
    assert_type(websocket.subprotocols, list[str])
    assert_type(websocket.requested_subprotocols, list[str])
    assert_type(websocket.nursery, trio.Nursery)
    assert_type(websocket.view_args, dict[str, Any] | None)
    websocket.get_json()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    websocket.form  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018
