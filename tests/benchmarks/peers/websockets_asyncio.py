"""websockets, on asyncio."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl

import websockets.asyncio.server


async def echo(websocket: websockets.asyncio.server.ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(message)


def serve(sock: socket.socket, tls: ssl.SSLContext | None) -> None:
    compression = "deflate" if "DEFLATE" in os.environ else None

    async def main() -> None:
        async with websockets.asyncio.server.serve(
            echo, sock=sock, ssl=tls, compression=compression, ping_interval=None
        ) as server:
            await server.serve_forever()

    asyncio.run(main())
