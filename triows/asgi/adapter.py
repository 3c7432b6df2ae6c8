"""The app as an ASGI 3 application: the same connections, carried by the events of a server such as hypercorn.

An ASGI server handles the protocol of a websocket itself: Pings and keepalive, fragments and the encoding of text. It
may report any disconnect as 1006. Buffers are bounded as they are on a link: ``receive()`` is not called while the
inbox is full, and ``send()`` waits above the high-water mark.
"""

from __future__ import annotations

import trio

from ..connection.app import App
from .foreign_loop import refuse
from .http import serve_http
from .scope import Receive, Scope, Send
from .websocket import serve_websocket


async def asgi_app(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one ASGI scope: ``http``, ``websocket`` or ``lifespan``.

    With PROPAGATE_EXCEPTIONS the error that no error handler took is raised, after the client has got the 500 or the
    Close frame: for the middleware around the app.
    """
    if not trio.lowlevel.in_trio_run():
        await refuse(scope, receive, send)
        return
    error: BaseException | None = None
    match scope["type"]:
        case "http":
            error = await serve_http(app, scope, receive, send)
        case "websocket":
            error = await serve_websocket(app, scope, receive, send)
        case "lifespan":
            await _serve_lifespan(app, receive, send)
        case other:
            raise ValueError(f"the ASGI scope {other!r} is not known here")
    if error is not None and app.config["PROPAGATE_EXCEPTIONS"]:
        raise error


async def _serve_lifespan(app: App, receive: Receive, send: Send) -> None:
    await receive()  # lifespan.startup
    phase = "startup"
    try:
        async with app.serving():
            await send({"type": "lifespan.startup.complete"})
            phase = "shutdown"
            await receive()  # lifespan.shutdown
    except Exception as error:
        await send({"type": f"lifespan.{phase}.failed", "message": f"{type(error).__name__}: {error}"})
    else:
        await send({"type": "lifespan.shutdown.complete"})
