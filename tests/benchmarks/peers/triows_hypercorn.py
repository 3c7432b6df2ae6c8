"""triows under hypercorn's Trio worker."""

from __future__ import annotations

import socket
import ssl

from .hypercorn_trio import serve_app
from .triows_app import make_app


def serve(sock: socket.socket, _tls: ssl.SSLContext | None) -> None:
    serve_app(make_app(), sock)
