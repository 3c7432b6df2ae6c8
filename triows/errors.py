"""Every public exception of triows.

::

    TriowsError
    ├── WebSocketClosed            receive() or send() after the connection was closed locally, or is over
    ├── WebSocketStateError        a call that the state of the websocket does not allow
    ├── JSONMessageError           receive_json(): the message is not JSON (also a ValueError)
    ├── CancelledSwallowedError    a handler ended normally although a disconnect had cancelled it
    ├── LifespanError              the app failed to start or to stop
    ├── ListenError                the server cannot listen on its address (also an OSError)
    ├── WebsocketResponseError     test client: the handshake was answered by an HTTP response
    ├── WebsocketDisconnectError   test client: the websocket has ended, by the server or by a lost connection
    └── HTTPDisconnectError        test client: the connection ended before the response was complete

A client's disconnect is not among them: it arrives as :exc:`trio.Cancelled`.
HTTP errors are werkzeug's (:mod:`werkzeug.exceptions`).

All of them, and subclasses with any ``__init__()``, can be pickled and copied, as process pools and test runners do: an
exception comes back with its ``args`` and its attributes, and its ``__init__()`` is not called again.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Self, cast

__all__ = [
    "CancelledSwallowedError",
    "HTTPDisconnectError",
    "JSONMessageError",
    "LifespanError",
    "ListenError",
    "TriowsError",
    "WebSocketClosed",
    "WebSocketStateError",
    "WebsocketDisconnectError",
    "WebsocketResponseError",
]


def _restore(class_: type[TriowsError], args: tuple[Any, ...], made_with: tuple[Any, ...]) -> TriowsError:
    error = class_.__new__(class_, *made_with)
    if isinstance(error, OSError):
        OSError.__init__(error, *made_with)  # which sets errno and its like, where the class has its own __init__()
    error.args = args
    return error


class TriowsError(Exception):
    """The base of all exceptions of triows."""

    def __reduce__(self) -> tuple[Any, ...]:
        # What others return calls the class with args: those of super().__init__(), which may be others. An OSError is
        # made with its file names too, which are not among its args.
        _, made_with, *attributes = cast("tuple[Any, ...]", super().__reduce__())
        return _restore, (type(self), self.args, made_with), *(attributes or [{}])


class WebSocketClosed(TriowsError):
    """``receive()`` or ``send()`` was called after this side had closed the websocket, or after its end.

    A handler that lets it escape, alone or in a group, has ended normally.

    :ivar connection: the websocket's connection. Only for its handler is the exception a normal end. Copies have it
        too; a pickle leaves it behind, and has None.
    """

    def __init__(self, message: str, connection: object = None) -> None:
        super().__init__(message)
        self.connection = connection

    def __reduce__(self) -> tuple[Any, ...]:
        restore, arguments, attributes = super().__reduce__()
        return restore, arguments, {**attributes, "connection": None}

    def __copy__(self) -> Self:
        return self._copied(self.args, self.__dict__)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        memo[id(self.connection)] = self.connection
        return self._copied(deepcopy(self.args, memo), deepcopy(self.__dict__, memo))

    def _copied(self, args: tuple[Any, ...], attributes: dict[str, Any]) -> Self:
        error = type(self).__new__(type(self), *args)
        error.__dict__.update(attributes)
        return error


class WebSocketStateError(TriowsError, RuntimeError):
    """The state of the websocket does not allow the call: a second, different accept, or a response after accepting."""


class JSONMessageError(TriowsError, ValueError):
    """``receive_json()`` got a message that is not JSON.

    If the handler does not catch it, the websocket is closed with 1007.

    :ivar message: the message as it was received.
    """

    def __init__(self, text: str, message: str | bytes) -> None:
        super().__init__(text)
        self.message = message


class CancelledSwallowedError(TriowsError):
    """A handler ended normally after the ``trio.Cancelled`` of a disconnect had been raised in it.

    Catching ``trio.Cancelled`` (or ``BaseException``) without raising it again breaks Trio's cancellation: the
    handler goes on for a client that is gone. The connection is closed all the same.
    """


class LifespanError(TriowsError):
    """The app's start-up or shutdown functions failed under an ASGI server or the test app."""


class ListenError(TriowsError, OSError):
    """The server cannot listen where it was told to: the address is in use, there is no such host, and the like.

    ``errno`` and ``strerror`` are the system's, and ``filename`` is the path of a Unix socket. The system's own
    exception, a ``socket.gaierror`` for one, is the cause.
    """


class WebsocketResponseError(TriowsError):
    """The server answered a websocket handshake of the test client with an HTTP response.

    :ivar response: the :class:`~triows.Response`: its status code, headers and body.
    """

    def __init__(self, response: Any) -> None:
        super().__init__(f"the handshake was answered with HTTP status {response.status_code}")
        self.response = response


class WebsocketDisconnectError(TriowsError):
    """The test client called a method of a websocket that has ended.

    :ivar code: the code of the server's Close frame; 1005 if the frame had none, 1006 if there was no Close frame.
    :ivar reason: the reason in the Close frame.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"the websocket has ended with {self.code}" + (f": {self.reason}" if self.reason else "")


class HTTPDisconnectError(TriowsError):
    """The connection of the test client ended before the response was complete."""
