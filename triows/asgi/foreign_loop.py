"""The answer to an ASGI server that runs on another event loop than Trio's: it cannot serve the app.

The server learns it at start-up, by its lifespan events, and ends with an error. One that sends none has each request
answered with 500, and a line in the log. Nothing here may need Trio.
"""

from __future__ import annotations

from ..tasks.error_log import error_log as logger
from .scope import Receive, Scope, Send

_REMEDY = (
    "the app needs Trio, and this server runs on another event loop:"
    " use 'triows run MODULE:app' or 'hypercorn -k trio MODULE:app'"
)


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse one ASGI scope."""
    if scope["type"] == "lifespan":
        await receive()  # lifespan.startup
        await send({"type": "lifespan.startup.failed", "message": _REMEDY})
        return
    logger.error("a request was answered with 500: %s", _REMEDY)
    prefix = "http"
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        prefix = "websocket.http"
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1011, "reason": ""})
            return
    body = f"500: {_REMEDY}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": f"{prefix}.response.start", "status": 500, "headers": headers})
    await send({"type": f"{prefix}.response.body", "body": body})
