"""Websocket clients of other makes, behind one small interface, so that one scenario serves them all.

Each library is driven on its own event loop: ``Library.run`` is called outside of Trio.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from inspect import signature
from typing import Any, Protocol

import aiohttp
import pytest
import trio
import trio_websocket
import websockets.asyncio.client as websockets_client
from websockets.exceptions import ConnectionClosed, InvalidStatus

from .conftest import GUARD

MAX_SIZE = 2**21  # bytes of a message that a client takes


class Refused(Exception):
    """The server answered the handshake with a response. ``body`` is None where the library drops it."""

    def __init__(self, status: int, challenge: str | None, body: bytes | None) -> None:
        super().__init__(status, challenge, body)
        self.status = status
        self.challenge = challenge
        self.body = body


class Client(Protocol):
    """One connection."""

    @property
    def subprotocol(self) -> str | None: ...
    async def send(self, message: str | bytes) -> None: ...
    async def receive(self) -> str | bytes: ...

    async def ping(self) -> None:
        """Send a Ping and wait for its Pong."""

    async def close(self, code: int, reason: str) -> int | None:
        """Close, and return the code of the server's own Close frame."""

    async def wait_closed(self) -> tuple[int, str]:
        """Wait for the server's Close frame; its code (1005 if it has none) and reason."""


class Library(Protocol):
    """A library: how to connect with it and how to run it."""

    def connect(
        self, url: str, headers: dict[str, str] | None = None, subprotocols: tuple[str, ...] = ()
    ) -> AbstractAsyncContextManager[Client]:
        """Open a connection, and close it with code 1000 when the block ends, if it is open then.

        :raises Refused: if the server refuses.
        """

    def run(self, scenario: Callable[[], Awaitable[None]]) -> None: ...
    async def together(self, tasks: list[Callable[[], Awaitable[None]]]) -> None: ...


class AsyncioLibrary:
    def run(self, scenario: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            async with asyncio.timeout(GUARD):
                await scenario()

        asyncio.run(main())

    async def together(self, tasks: list[Callable[[], Awaitable[None]]]) -> None:
        async with asyncio.TaskGroup() as group:
            for task in tasks:
                group.create_task(_coroutine(task))


async def _coroutine(task: Callable[[], Awaitable[None]]) -> None:
    await task()


# websockets

# Since version 15 it asks the proxies that the environment names, unless it is told not to.
NO_PROXY: dict[str, Any] = {"proxy": None} if "proxy" in signature(websockets_client.connect).parameters else {}


class Websockets(AsyncioLibrary):
    """websockets, which offers permessage-deflate unless told not to."""

    def __init__(self, compression: str | None = "deflate") -> None:
        self._compression = compression

    @asynccontextmanager
    async def connect(
        self, url: str, headers: dict[str, str] | None = None, subprotocols: tuple[str, ...] = ()
    ) -> AsyncIterator[WebsocketsClient]:
        try:
            async with websockets_client.connect(
                url,
                additional_headers=headers,
                subprotocols=subprotocols or None,  # type: ignore[arg-type]
                compression=self._compression,
                max_size=MAX_SIZE,
                **NO_PROXY,
            ) as connection:
                yield WebsocketsClient(connection)
        except InvalidStatus as error:
            response = error.response
            raise Refused(response.status_code, response.headers.get("WWW-Authenticate"), response.body) from error


class WebsocketsClient:
    def __init__(self, connection: websockets_client.ClientConnection) -> None:
        self.connection = connection
        self.subprotocol = connection.subprotocol

    async def send(self, message: str | bytes) -> None:
        await self.connection.send(message)

    async def receive(self) -> str | bytes:
        return await self.connection.recv()

    async def ping(self) -> None:
        await (await self.connection.ping())

    async def close(self, code: int, reason: str) -> int | None:
        await self.connection.close(code, reason)
        return self.connection.protocol.close_code

    async def wait_closed(self) -> tuple[int, str]:
        with pytest.raises(ConnectionClosed) as caught:
            await self.connection.recv()
        received = caught.value.rcvd
        assert received is not None, "the stream ended without a Close frame"
        return received.code, received.reason


# aiohttp


class Aiohttp(AsyncioLibrary):
    @asynccontextmanager
    async def connect(
        self, url: str, headers: dict[str, str] | None = None, subprotocols: tuple[str, ...] = ()
    ) -> AsyncIterator[AiohttpClient]:
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(
                    url, headers=headers, protocols=subprotocols, max_msg_size=MAX_SIZE, autoping=False
                ) as ws,
            ):
                yield AiohttpClient(ws)
        except aiohttp.WSServerHandshakeError as error:
            challenge = error.headers.get("WWW-Authenticate") if error.headers is not None else None
            raise Refused(error.status, challenge, None) from error


class AiohttpClient:
    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws
        self.subprotocol = ws.protocol

    async def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            await self._ws.send_str(message)
        else:
            await self._ws.send_bytes(message)

    async def receive(self) -> str | bytes:
        message = await self._ws.receive()
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
        return message.data

    async def ping(self) -> None:
        await self._ws.ping(b"are you there?")
        answer = await self._ws.receive()
        assert (answer.type, bytes(answer.data)) == (aiohttp.WSMsgType.PONG, b"are you there?")

    async def close(self, code: int, reason: str) -> int | None:
        await self._ws.close(code=code, message=reason.encode())
        return self._ws.close_code

    async def wait_closed(self) -> tuple[int, str]:
        message = await self._ws.receive()
        assert message.type is aiohttp.WSMsgType.CLOSE, message
        return message.data or 1005, message.extra or ""


# trio-websocket


class TrioWebsocket:
    @asynccontextmanager
    async def connect(
        self, url: str, headers: dict[str, str] | None = None, subprotocols: tuple[str, ...] = ()
    ) -> AsyncIterator[TrioWebsocketClient]:
        address, slash, path = url.removeprefix("ws://").partition("/")
        host, port = address.split(":")
        try:
            # open_websocket() leaves the socket of a refused handshake to the garbage collector.
            async with await trio.open_tcp_stream(host, int(port)) as stream, trio.open_nursery() as nursery:
                connection = await trio_websocket.wrap_client_stream(
                    nursery,
                    stream,
                    address,
                    slash + path,
                    subprotocols=subprotocols,
                    extra_headers=[(name.encode(), value.encode()) for name, value in (headers or {}).items()],
                    max_message_size=MAX_SIZE,
                )
                yield TrioWebsocketClient(connection)
                await connection.aclose()
        except* trio_websocket.ConnectionRejected as group:
            error = group.exceptions[0]
            while isinstance(error, ExceptionGroup):
                error = error.exceptions[0]
            assert isinstance(error, trio_websocket.ConnectionRejected)
            found = {name.lower(): value.decode() for name, value in error.headers or ()}
            refused = Refused(error.status_code, found.get(b"www-authenticate"), error.body)
        else:
            return
        raise refused

    def run(self, scenario: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            with trio.fail_after(GUARD):
                await scenario()

        trio.run(main)

    async def together(self, tasks: list[Callable[[], Awaitable[None]]]) -> None:
        async with trio.open_nursery() as nursery:
            for task in tasks:
                nursery.start_soon(task)


class TrioWebsocketClient:
    def __init__(self, connection: trio_websocket.WebSocketConnection) -> None:
        self._connection = connection
        self.subprotocol = connection.subprotocol

    async def send(self, message: str | bytes) -> None:
        await self._connection.send_message(message)

    async def receive(self) -> str | bytes:
        return await self._connection.get_message()

    async def ping(self) -> None:
        await self._connection.ping()

    async def close(self, code: int, reason: str) -> int | None:
        await self._connection.aclose(code, reason)
        assert self._connection.closed is not None
        return self._connection.closed.code

    async def wait_closed(self) -> tuple[int, str]:
        with pytest.raises(trio_websocket.ConnectionClosed) as caught:
            await self._connection.get_message()
        received = caught.value.reason
        assert received is not None
        return received.code, received.reason or ""


LIBRARIES: dict[str, Any] = {"websockets": Websockets, "aiohttp": Aiohttp, "trio-websocket": TrioWebsocket}


def basic(user: str, password: str) -> dict[str, str]:
    """The header of basic authentication."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
