"""aiohttp, on asyncio."""

from __future__ import annotations

import os
import socket
import ssl

from aiohttp import WSMsgType, web


async def echo(request: web.Request) -> web.WebSocketResponse:
    websocket = web.WebSocketResponse(compress="DEFLATE" in os.environ)
    await websocket.prepare(request)
    async for message in websocket:
        if message.type is WSMsgType.TEXT:
            await websocket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await websocket.send_bytes(message.data)
    return websocket


async def http(_request: web.Request) -> web.Response:
    return web.Response(text="hello")


def serve(sock: socket.socket, tls: ssl.SSLContext | None) -> None:
    app = web.Application()
    app.router.add_get("/", echo)
    app.router.add_get("/http", http)
    web.run_app(app, sock=sock, ssl_context=tls, print=None, access_log=None)
