"""From a view's return value to a response."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterator, Mapping
from types import CoroutineType
from typing import Any, Protocol

from werkzeug.datastructures import Headers
from werkzeug.exceptions import BadRequest, BadRequestKeyError, HTTPException
from werkzeug.routing import RoutingException
from werkzeug.sansio.response import Response as SansIOResponse

from ...protocol.plain import plain_text
from ...tasks.functions import check_awaited, describe, forgotten_await
from ...web.json import JSONProvider
from ...web.response import Response

_SHAPES = (
    "return str, bytes, dict, list, a Response, an async generator, or a tuple (body, status), (body, headers)"
    " or (body, status, headers)"
)


class ResponseApp(Protocol):
    """The app whose views return the values: its classes, its JSON, and its own ``make_response()``, if it has one.

    :ivar overrides_make_response: whether a subclass or an assignment has replaced ``make_response()``.
    """

    overrides_make_response: bool

    @property
    def config(self) -> Mapping[str, Any]: ...
    @property
    def debug(self) -> bool: ...
    @property
    def json(self) -> JSONProvider: ...
    @property
    def response_class(self) -> type[Response]: ...
    async def make_response(self, result: Any) -> Response: ...


async def make_response(app: ResponseApp, value: Any, function: Callable[..., Any] | None = None) -> Response:
    """Return the response for the return value of a view, a hook or an error handler.

    Where a subclass or an assignment has replaced :meth:`triows.Triows.make_response`, the replacement decides.

    :param function: the view, hook or handler, for the message of an error.
    :raises TypeError: if a view may not return that value.
    """
    if not app.overrides_make_response:
        return response_from(app, value, function)
    response = await app.make_response(value)
    if not isinstance(response, Response):
        raise TypeError(
            f"{describe(app.make_response)} returned {type(response).__name__} {response!r:.100}, not a Response"
        )
    return response


def is_trapped(app: ResponseApp, error: HTTPException) -> bool:
    """Whether an HTTP error without a handler is a fault of the view, as other exceptions are."""
    config = app.config
    if isinstance(error, RoutingException):
        return False
    if config["TRAP_HTTP_EXCEPTIONS"]:
        return True
    if config["TRAP_BAD_REQUEST_ERRORS"] is None:
        return app.debug and isinstance(error, BadRequestKeyError)
    return bool(config["TRAP_BAD_REQUEST_ERRORS"]) and isinstance(error, BadRequest)


def show_missing_key(app: ResponseApp, error: BaseException) -> None:
    """Let the error of a key that a form or a query lacks name the key, for developers."""
    if isinstance(error, BadRequestKeyError) and (app.debug or app.config["TRAP_BAD_REQUEST_ERRORS"]):
        error.show_exception = True


def response_from(app: ResponseApp, value: Any, function: Callable[..., Any] | None = None) -> Response:
    """Return the response for the return value of a view.

    :param function: the view, for the message of an error.
    :raises TypeError: if a view may not return that value.
    """
    status: Any = None
    headers: Any = None
    body = value
    if isinstance(value, tuple):
        match value:
            case (body, Headers() | dict() | tuple() | list() as headers):
                pass
            case (body, status):
                pass
            case (body, status, headers):
                pass
            case _:
                raise TypeError(f"{_view_name(function)} returned a tuple of {len(value)}; {_SHAPES}")
    try:
        response = _from_body(app, body, function)
    except TypeError:
        forgotten_await(value)  # closes the other coroutines of a tuple
        raise
    if status is not None:
        if isinstance(status, bool) or not isinstance(status, int | str):
            view, hint = _view_name(function), forgotten_await(status)
            if hint:
                raise TypeError(f"{view} returned a coroutine as status: {hint}")
            raise TypeError(f"{view} returned {status!r} as status; it is a number or a text like '404 Not Found'")
        if isinstance(status, str) and not status[:3].isdecimal():
            raise ValueError(
                f"{_view_name(function)} returned the status {status!r}; it is like 404 or '404 Not Found'"
            )
        response.status = plain_text(status) if isinstance(status, str) else f"{int(status)}"
    if headers is not None:
        # Not forgotten_await(): most responses with headers have few, and no coroutine among them.
        if isinstance(headers, dict) and CoroutineType in map(type, headers.values()):
            raise TypeError(f"{_view_name(function)} returned a coroutine in its headers: {forgotten_await(headers)}")
        response.headers.update(headers)
    return response


def _from_body(app: ResponseApp, body: Any, function: Callable[..., Any] | None) -> Response:
    match body:
        case Response():
            return body
        case str() | bytes() | bytearray():
            return app.response_class(body)
        case dict() | list():
            return app.json.response(body)
        case HTTPException():
            text = body.description
            check_awaited(type(body).__name__, text)
            if isinstance(text, str) and type(text) is not str and not hasattr(text, "__html__"):
                body.description = plain_text(text)
            return app.response_class.from_sansio(body.get_response())
        case SansIOResponse():
            return app.response_class.from_sansio(body)
        case type():
            pass  # refused below: some classes have __iter__, and are no bodies
        case AsyncIterable() | Iterator():
            return app.response_class(body)
    if hint := forgotten_await(body):
        raise TypeError(f"{_view_name(function)} returned a coroutine: {hint}")
    if body is None:
        raise TypeError(f"{_view_name(function)} returned None, or a path through it has no return; {_SHAPES}")
    raise TypeError(f"{_view_name(function)} returned {type(body).__name__} {body!r:.100}; {_SHAPES}")


def _view_name(function: Callable[..., Any] | None) -> str:
    return "the view" if function is None else describe(function)
