"""starlette under uvicorn, with h11 and asyncio's own loop."""

from __future__ import annotations

import socket
import ssl

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def http(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


def serve(sock: socket.socket, _tls: ssl.SSLContext | None) -> None:
    app = Starlette(routes=[Route("/http", http)])
    config = uvicorn.Config(app, http="h11", loop="asyncio", log_level="error", access_log=False)
    uvicorn.Server(config).run(sockets=[sock])
