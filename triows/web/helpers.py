"""Small functions for use inside handlers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn, Protocol, TypeVar, cast

from werkzeug.exceptions import abort as _abort
from werkzeug.sansio.response import Response as SansIOResponse
from werkzeug.urls import iri_to_uri
from werkzeug.utils import redirect as _redirect

from ..protocol.plain import plain_text
from ..tasks.functions import check_awaited
from .context import Context, current_context, require_context
from .json import JSONProvider
from .response import Response
from .suggestions import suggests_arguments

F = TypeVar("F", bound=Callable[..., Any])


class CurrentApp(Protocol):
    """The app of the current context, as these functions use it."""

    @property
    def json(self) -> JSONProvider: ...
    @property
    def response_class(self) -> type[Response]: ...
    @property
    def url_for(self) -> Callable[..., str]: ...
    async def make_response(self, result: Any) -> Response: ...


def _app(what: str) -> CurrentApp:
    app: CurrentApp = require_context(what).app
    return app


def abort(code: int | SansIOResponse, *args: Any, **kwargs: Any) -> NoReturn:
    """End the handler with an HTTP error: ``abort(404)``, ``abort(403, "Members only")``, ``abort(response)``.

    Before a websocket is accepted, this rejects its handshake.

    :raises werkzeug.exceptions.HTTPException: always; the error handlers may answer it.
    :raises LookupError: if there is no error of that code.
    """
    check_awaited("abort()", code, *args, *kwargs.values())
    context = current_context()
    aborter = _abort if context is None else context.app.aborter
    aborter(code, *args, **kwargs)
    raise RuntimeError(f"the app's aborter returned from abort({code!r}), and abort() never returns")


@suggests_arguments
def redirect(location: str, code: int = 302) -> Response:
    """Return a response that sends the client to another URL.

    Characters outside of ASCII are percent-encoded.

    :param code: 301, 302, 303, 307 or 308 (RFC 9110, 15.4).
    """
    check_awaited("redirect()", location, code)
    location = plain_text(location)
    if not location.isascii():
        location = iri_to_uri(location)
    # Werkzeug's annotation wants its own WSGI response class, but any class will do: it is only constructed.
    context = current_context()
    response_class = Response if context is None else context.app.response_class
    return cast(Response, _redirect(location, code, Response=cast(Any, response_class)))


def jsonify(*args: Any, **kwargs: Any) -> Response:
    """Return a JSON response: of one value, of several as a list, or of keyword arguments as an object.

    :raises TypeError: if a value has no JSON form.
    """
    return _app("jsonify()").json.response(*args, **kwargs)


async def make_response(*args: Any) -> Response:
    """Return the response that a view would send by returning the arguments: a body, a status, headers.

    :raises TypeError: if a view may not return them.
    """
    app = _app("make_response()")
    if not args:
        return app.response_class()
    return await app.make_response(args[0] if len(args) == 1 else args)


def url_for(
    endpoint: str,
    *,
    _anchor: str | None = None,
    _external: bool | None = None,
    _method: str | None = None,
    _scheme: str | None = None,
    **values: Any,
) -> str:
    """Return the URL of an endpoint; one that begins with a dot is in the current blueprint.

    :param values: the URL's variables; values without a variable of that name become the query.
    :param _external: whether the URL has scheme and host. It always has outside of a request and for websockets.
    :raises werkzeug.routing.BuildError: if no rule fits.
    """
    return _app("url_for()").url_for(
        endpoint, _anchor=_anchor, _external=_external, _method=_method, _scheme=_scheme, **values
    )


def after_this_request(func: F) -> F:
    """Call ``func(response)`` with the response of this request; it returns that or another. For use in handlers.

    :raises RuntimeError: outside of a request or websocket, and when the response has begun.
    """
    context = current_context()
    if context is None or context.subject is None:
        raise RuntimeError("after_this_request() is only available while a request or websocket is handled")
    if context.request is not None and context.request.connection.response_started:
        raise RuntimeError(
            f"after_this_request({func!r}) comes too late: the response has begun;"
            " call it before the handler returns, for a streamed response too"
        )
    if context.after_this_request is None:
        context.after_this_request = []
    context.after_this_request.append(func)
    return func


after_this_websocket = after_this_request


def stream_with_context(func: F) -> F:
    """Return the generator or generator function as it is: streamed bodies always run in their request's context."""
    return func


def copy_current_request_context(func: F) -> F:
    """Return ``func`` bound to the current context, for calls from tasks that did not inherit it.

    Tasks that a handler starts, in any nursery, inherit the context without this.

    :raises RuntimeError: outside of a context.
    """
    context = require_context(f"copying the context for {getattr(func, '__name__', func)}()")
    return cast(F, _bind(context, func))


copy_current_websocket_context = copy_current_request_context
copy_current_app_context = copy_current_request_context


def _bind(context: Context, function: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def bound_async(*args: Any, **kwargs: Any) -> Any:
            token = context.push()
            try:
                return await function(*args, **kwargs)
            finally:
                context.pop(token)

        return bound_async

    @wraps(function)
    def bound(*args: Any, **kwargs: Any) -> Any:
        token = context.push()
        try:
            return function(*args, **kwargs)
        finally:
            context.pop(token)

    return bound
