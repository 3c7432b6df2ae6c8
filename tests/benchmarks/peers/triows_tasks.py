"""triows on its own server without the reactor: a reading and a writing task for each connection."""

from __future__ import annotations

import socket
import ssl

import trio

from triows.server.serving import Server

from .triows_app import make_app


def serve(sock: socket.socket, tls: ssl.SSLContext | None) -> None:
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
    app = make_app()

    async def main() -> None:
        async with app.serving():
            await Server(app, ssl_context=tls, access_log=False, use_reactor=False).run([listener])

    trio.run(main)
