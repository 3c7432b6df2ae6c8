"""Ending websockets from outside: those of one user, of one room, of one session."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import trio

from ..connection.stats import Counters
from ..connection.websocket import WebSocketConnection
from ..protocol.disconnect import Disconnect
from ..protocol.websocket.close_codes import checked_close
from ..tasks.functions import check_awaited, check_not_async
from ..web.context import Context
from ..web.websocket import WebSocket

Match = Callable[[WebSocket], object]


def disconnect(counters: Counters, match: Match, code: int, reason: str) -> int:
    """See :meth:`triows.Triows.disconnect`. Any thread may call it that Trio has started."""
    check_not_async(match, "it is asked of many websockets at one moment, and may not wait")
    ending = Disconnect(*checked_close(code, reason), "server")
    if trio.lowlevel.in_trio_task():
        return _end_all(counters, match, ending)
    return trio.from_thread.run_sync(_end_all, counters, match, ending)


def _end_all(counters: Counters, match: Match, ending: Disconnect) -> int:
    # All are asked before the first is ended: an error of match() leaves everything as it was.
    matching = [websocket for websocket in _running(counters) if _matches(match, websocket)]
    for websocket in matching:
        websocket.end_by(ending)
    return len(matching)


def _running(counters: Counters) -> list[WebSocketConnection]:
    """The websockets that the app handles and that nothing has ended yet, accepted or not."""
    return [
        websocket
        for websocket in cast("set[WebSocketConnection]", counters.websockets)
        if websocket.context is not None and websocket.disconnect is None and not websocket.closed
    ]


def _matches(match: Match, websocket: WebSocketConnection) -> bool:
    context: Context = websocket.context
    assert context.websocket is not None
    token = context.push()
    try:
        answer = match(context.websocket)
        check_awaited("disconnect()", answer)
        return bool(answer)
    finally:
        context.pop(token)
