"""hypercorn's Trio worker, in this process."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.trio import serve


def serve_app(app: Any, sock: socket.socket) -> None:
    config = Config()
    config.bind = [f"fd://{sock.detach()}"]
    config.loglevel = "ERROR"
    trio.run(partial(serve, app, config, mode="asgi"))
