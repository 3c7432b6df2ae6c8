"""View functions. How each is called is found out once, when it is registered."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping, MutableMapping
from types import FunctionType
from typing import Any, Self, get_type_hints

from ...tasks.functions import call, describe, is_async, is_async_generator, unwrap
from ...web.request import Request
from ...web.websocket import WebSocket
from .class_views import MethodView, answering, check_view_function, class_of, has_own_dispatch, undecorated_class_of


class View:
    """A registered view function.

    :ivar function: the function that the user registered.
    :ivar injected: the names of the parameters that take the :class:`Request` or :class:`WebSocket` itself.
    """

    __slots__ = ("_class", "_kind", "function", "injected")

    def __init__(self, function: Callable[..., Any], *, websocket: bool) -> None:
        if websocket:
            check_handler(function)
        else:
            check_view_function(function)
        self.function: Callable[..., Any] = function
        self._class = class_of(function)
        self._kind = _kind_of(function)
        self.injected: tuple[str, ...] = injected_parameters(function, WebSocket if websocket else Request)

    def __call__(self, subject: Any, view_args: dict[str, Any] | None) -> Coroutine[Any, Any, Any]:
        """Call the function with the URL's variables, and return a coroutine of its result.

        :param subject: the request or websocket, for the parameters that take it.
        """
        arguments = self.arguments(subject, view_args)
        if self._kind == "async":
            result: Coroutine[Any, Any, Any] = self.function(**arguments)  # no coroutine of ours around it
            return result
        return self._call_plain(arguments)

    def arguments(self, subject: Any, view_args: dict[str, Any] | None) -> dict[str, Any]:
        """Return the function's arguments: the URL's variables, and the request or websocket where it is asked for."""
        arguments = view_args or {}
        return {**arguments, **dict.fromkeys(self.injected, subject)} if self.injected else arguments

    def named(self, method: str) -> Callable[..., Any]:
        """Return what messages name at a request of an HTTP method: the function, or of a class the method for it."""
        if self._class is None:
            return self.function
        return answering(self._class, method) or self._class

    async def _call_plain(self, arguments: dict[str, Any]) -> Any:
        if self._kind == "generator":
            return self.function(**arguments)
        return await call(self.function, **arguments)


def _kind_of(function: Callable[..., Any]) -> str:
    return "async" if is_async(function) else "generator" if is_async_generator(function) else "thread"


def check_handler(function: Callable[..., Any]) -> None:
    """Raise TypeError for what cannot be a websocket's handler."""
    check_view_function(function)
    class_ = undecorated_class_of(function)
    if class_ is not None:
        if issubclass(class_, MethodView) and not has_own_dispatch(class_):
            raise TypeError(
                f"{class_.__qualname__} is a MethodView, whose methods answer HTTP requests; for a websocket write a"
                " triows.View with 'async def dispatch_request(self)'"
            )
        function = class_.dispatch_request
    kind = _kind_of(function)
    if kind == "thread":
        raise TypeError(
            f"{describe(function)} is not async, and a websocket's handler has to be: write 'async def'"
            " (if a decorator wraps it, its wrapper too)"
        )
    if kind == "generator":
        raise TypeError(
            f"{describe(function)} yields, which a websocket's handler cannot: use 'await websocket.send(...)'"
        )


class ViewFunctions(MutableMapping[str, Callable[..., Any]]):
    """``app.view_functions``: the functions that the user registered, by their endpoints.

    :param is_websocket: whether an endpoint is a websocket's, so that its function has to be async.
    :param functions: the functions to begin with.
    :ivar views: the views of the functions, by endpoint.
    """

    def __init__(
        self, is_websocket: Callable[[str], bool], functions: Mapping[str, Callable[..., Any]] | None = None
    ) -> None:
        self._is_websocket = is_websocket
        self.views: dict[str, View] = {
            endpoint: self._view(endpoint, function) for endpoint, function in (functions or {}).items()
        }

    def __getitem__(self, endpoint: str) -> Callable[..., Any]:
        return self.views[endpoint].function

    def __setitem__(self, endpoint: str, function: Callable[..., Any]) -> None:
        self.views[endpoint] = self._view(endpoint, function)

    def __delitem__(self, endpoint: str) -> None:
        del self.views[endpoint]

    def __iter__(self) -> Iterator[str]:
        return iter(self.views)

    def __len__(self) -> int:
        return len(self.views)

    def __repr__(self) -> str:
        return repr(dict(self))

    def add(self, endpoint: str, function: Callable[..., Any], *, websocket: bool) -> None:
        """Add the view of a route.

        :raises AssertionError: if the endpoint has another function already.
        """
        known = self.views.get(endpoint)
        if known is None or (websocket and known.function is function):
            self.views[endpoint] = View(function, websocket=websocket)
        elif known.function is not function:
            raise AssertionError(
                f"the endpoint {endpoint!r} has another function already; give one of them an endpoint='other_name'"
            )

    def copy(self) -> dict[str, Callable[..., Any]]:
        """Return the functions in a new dict."""
        return dict(self)

    def __or__(self, other: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
        return {**self, **other}

    def __ior__(self, other: Mapping[str, Callable[..., Any]]) -> Self:
        self.update(other)
        return self

    def _view(self, endpoint: str, function: Callable[..., Any]) -> View:
        return View(function, websocket=self._is_websocket(endpoint))


def injected_parameters(function: Callable[..., Any], kind: type) -> tuple[str, ...]:
    """Return the parameters that are annotated with a kind of request, and get the request itself."""
    plain = unwrap(function)
    own: dict[str, Any] = getattr(plain, "__annotations__", None) or {}  # an AsyncMock has None
    if isinstance(plain, FunctionType) and own.keys() <= {"return"}:
        return ()
    try:
        annotations = get_type_hints(plain)
    except Exception:  # names that only type checkers import: the annotations' text has to do
        annotations = own
    names = {kind.__name__, f"triows.{kind.__name__}"}
    return tuple(
        name
        for name, annotation in annotations.items()
        if name != "return"
        and (
            (isinstance(annotation, type) and issubclass(annotation, kind))
            or (isinstance(annotation, str) and annotation.strip("'\"") in names)
        )
    )
