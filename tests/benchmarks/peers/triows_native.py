"""triows on its own server."""

from __future__ import annotations

import socket
import ssl

import trio

from .triows_app import make_app


def serve(sock: socket.socket, tls: ssl.SSLContext | None) -> None:
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))

    async def main() -> None:
        await make_app().serve_listeners([listener], ssl_context=tls, access_log=False)

    trio.run(main)
