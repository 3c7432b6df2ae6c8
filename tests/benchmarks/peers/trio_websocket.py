"""trio-websocket."""

from __future__ import annotations

import socket
import ssl

import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, WebSocketServer


async def echo(request: WebSocketRequest) -> None:
    websocket = await request.accept()
    try:
        while True:
            await websocket.send_message(await websocket.get_message())
    except ConnectionClosed:
        pass  # it would end the whole server


def serve(sock: socket.socket, tls: ssl.SSLContext | None) -> None:
    plain = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
    listener = plain if tls is None else trio.SSLListener(plain, tls, https_compatible=True)
    trio.run(WebSocketServer(echo, [listener]).run)
