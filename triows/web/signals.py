"""Signals by which an app tells extensions what happens in it: Quart's, with Quart's names and arguments.

``request_started.connect(receiver)`` has ``receiver(app)`` called for each request; most signals give keyword arguments
too, which the comments below have. A receiver may be async; others are called in a worker thread. Nothing is called,
and nothing waits, where no receiver is connected.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from logging import Logger
from typing import Any

import trio
from blinker import Namespace, Signal

from ..connection.limits import TEARDOWN_TIMEOUT
from ..connection.pacing import WrappedConnection
from ..tasks.exception_groups import is_error, unwrap_group
from ..tasks.functions import call
from ..tasks.shields import keep_shielded

signals_available = True

_signals = Namespace()

appcontext_pushed: Signal = _signals.signal("appcontext-pushed")
appcontext_popped: Signal = _signals.signal("appcontext-popped")
appcontext_tearing_down: Signal = _signals.signal("appcontext-tearing-down")  # exc: the unhandled error, or None
request_started: Signal = _signals.signal("request-started")
request_finished: Signal = _signals.signal("request-finished")  # response
request_tearing_down: Signal = _signals.signal("request-tearing-down")  # exc: the unhandled error, or None
websocket_started: Signal = _signals.signal("websocket-started")
websocket_received: Signal = _signals.signal("websocket-received")  # the sender is the message, not the app
websocket_sent: Signal = _signals.signal("websocket-sent")  # the sender is the message, not the app
websocket_finished: Signal = _signals.signal("websocket-finished")  # response, None once it was accepted
websocket_tearing_down: Signal = _signals.signal("websocket-tearing-down")  # exc: the unhandled error, or None
got_request_exception: Signal = _signals.signal("got-request-exception")  # exception
got_websocket_exception: Signal = _signals.signal("got-websocket-exception")  # exception
got_background_exception: Signal = _signals.signal("got-background-exception")  # exception
got_serving_exception: Signal = _signals.signal("got-serving-exception")  # exception
before_render_template: Signal = _signals.signal("before-render-template")  # template, context
template_rendered: Signal = _signals.signal("template-rendered")  # template, context
message_flashed: Signal = _signals.signal("message-flashed")  # message, category


async def send(signal: Signal, sender: Any, **values: Any) -> None:
    """Call the receivers of a signal, one after the other. An error of one is raised here.

    Callers ask ``if signal.receivers:`` first, so that a signal without receivers costs nothing.
    """
    await signal.send_async(sender, _sync_wrapper=_called, **values)


def _called(receiver: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    return partial(call, receiver)


async def send_shielded(logger: Logger, signal: Signal, sender: Any, **values: Any) -> None:
    """Call the receivers of a signal where the task may be cancelled. An error of one is logged."""
    with trio.move_on_after(TEARDOWN_TIMEOUT, shield=True) as scope:
        keep_shielded(scope)
        try:
            await send(signal, sender, **values)
        except BaseException as raised:  # noqa: ASYNC103 - raised again, unless it is an error
            if not is_error(raised):
                raise
            logger.error("a receiver of the signal %s failed", _name(signal), exc_info=unwrap_group(raised))
    if scope.cancelled_caught:
        logger.error(
            "the receivers of the signal %s took longer than %s seconds and were cancelled",
            _name(signal),
            TEARDOWN_TIMEOUT,
        )


def _name(signal: Signal) -> str:
    return str(getattr(signal, "name", signal)).replace("-", "_")


class ObservedConnection(WrappedConnection):
    """A websocket's connection whose messages are told to the receivers of signals.

    It takes the connection's place for a websocket only if there are receivers: no other message passes through here.
    """

    __slots__ = ()

    async def receive(self) -> str | bytes:
        """The next message, after the receivers of ``websocket_received``."""
        message = await self._connection.receive()
        await send(websocket_received, message)
        return message

    async def send(self, message: str | bytes) -> None:
        """Send a message, and call the receivers of ``websocket_sent`` then."""
        await self._connection.send(message)
        await send(websocket_sent, message)
