"""triows on its own server, with handlers that are awaited and not driven: nobody sees what Trio sends in."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Coroutine
from typing import Any

from triows.tasks.cancellation import HandlerWatch

from . import triows_native


def serve(sock: socket.socket, tls: ssl.SSLContext | None) -> None:
    async def drive(self: HandlerWatch, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return await coroutine

    HandlerWatch.drive = drive  # type: ignore[method-assign, assignment]
    triows_native.serve(sock, tls)
