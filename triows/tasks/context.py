"""What a handler and all of its child tasks see: one context object in one ContextVar, and the proxies onto it.

Trio gives each new task a copy of its parent's context variables, so a context set by the dispatcher is inherited by
every task that a handler starts, and ends with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trio.lowlevel import Task
    from werkzeug.routing import MapAdapter

    from .app import Triows
    from .request import Request
    from .response import Response
    from .sessions import SessionMixin
    from .websocket import WebSocket

_MISSING: Any = object()


class Namespace:
    """A place for a request's own things: any attribute may be set. ``in`` asks for one."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"g has no {name!r} here; set g.{name} in this context first, or use g.get({name!r})")

    if TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None: ...

    def get(self, name: str, default: Any = None) -> Any:
        """Return the attribute ``name``, or ``default``."""
        return self.__dict__.get(name, default)

    def pop(self, name: str, default: Any = _MISSING) -> Any:
        """Remove and return the attribute ``name``; without it ``default``, or :exc:`KeyError`."""
        if default is _MISSING:
            return self.__dict__.pop(name)
        return self.__dict__.pop(name, default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Return the attribute ``name``, set to ``default`` first if it is missing."""
        return self.__dict__.setdefault(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self.__dict__

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __repr__(self) -> str:
        return f"<g {self.__dict__!r}>"


class Context:
    """Everything that belongs to one request, one websocket, or (neither given) the app alone."""

    __slots__ = ("after_this_request", "app", "g", "request", "session", "url_adapter", "websocket")

    def __init__(self, app: Triows, request: Request | None = None, websocket: WebSocket | None = None) -> None:
        self.app = app
        self.request = request
        self.websocket = websocket
        self.g: Namespace = app.app_ctx_globals_class()
        self.session: SessionMixin | None = None
        self.url_adapter: MapAdapter | None = None
        self.after_this_request: list[Callable[[Response], Any]] | None = None

    @property
    def subject(self) -> Request | WebSocket | None:
        """The request or websocket of this context."""
        return self.request if self.request is not None else self.websocket

    def push(self) -> Token[Context]:
        """Make this the current context of the task; what is returned goes to :meth:`pop`."""
        return _current.set(self)

    def pop(self, token: Token[Context]) -> None:
        """Restore the context that was current before the :meth:`push` that gave ``token``."""
        _current.reset(token)


_current: ContextVar[Context] = ContextVar("triows.context")


def current_context() -> Context | None:
    """Return the context of this task, or None outside of any."""
    return _current.get(None)


def context_of(task: Task) -> Context | None:
    """Return the context of another task, or None outside of any. Any thread may ask."""
    return task.context.get(_current)


class Proxy:
    """Stands for one attribute of the current context, whichever task asks."""

    __slots__ = ("_attribute", "_remedy")

    def __init__(self, attribute: str, remedy: str) -> None:
        object.__setattr__(self, "_attribute", attribute)
        object.__setattr__(self, "_remedy", remedy)

    def _get_current_object(self) -> Any:
        """Return the object itself.

        :raises RuntimeError: if there is none here.
        """
        try:
            target = getattr(_current.get(), self._attribute)
        except LookupError:
            target = None
        if target is None:
            raise RuntimeError(self._remedy) from None
        return target

    def __getattr__(self, name: str) -> Any:
        # On the path of every message: one ContextVar.get and two getattr, and nothing else.
        try:
            return getattr(getattr(_current.get(), self._attribute), name)
        except (LookupError, AttributeError) as error:
            return self._explain(name, error)

    def _explain(self, name: str, error: Exception) -> Any:
        context = _current.get(None)
        if context is not None and getattr(context, self._attribute) is not None:
            raise error
        if name.startswith("__") and name.endswith("__"):
            # Tools look for __wrapped__, __name__ and their like on anything that a module holds.
            raise AttributeError(name) from None
        raise RuntimeError(self._remedy) from None

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._get_current_object(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._get_current_object(), name)

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        """What isinstance() sees: the object's class."""
        try:
            return type(self._get_current_object())
        except RuntimeError:
            return Proxy

    def __reduce_ex__(self, protocol: Any) -> Any:
        """What is copied or pickled is the object."""
        return self._get_current_object().__reduce_ex__(protocol)

    def __repr__(self) -> str:
        try:
            return repr(self._get_current_object())
        except RuntimeError:
            return f"<{self._attribute}: none here>"

    def __str__(self) -> str:
        try:
            return str(self._get_current_object())
        except RuntimeError:
            return repr(self)

    def __bool__(self) -> bool:
        try:
            return bool(self._get_current_object())
        except RuntimeError:
            return False

    def __dir__(self) -> list[str]:
        try:
            return dir(self._get_current_object())
        except RuntimeError:
            return []

    def __eq__(self, other: object) -> bool:
        return bool(self._get_current_object() == other)

    def __ne__(self, other: object) -> bool:
        return bool(self._get_current_object() != other)

    def __hash__(self) -> int:
        return hash(self._get_current_object())

    def __len__(self) -> int:
        return len(self._get_current_object())

    def __getitem__(self, key: Any) -> Any:
        return self._get_current_object()[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._get_current_object()[key] = value

    def __delitem__(self, key: Any) -> None:
        del self._get_current_object()[key]

    def __contains__(self, key: Any) -> bool:
        return key in self._get_current_object()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._get_current_object())

    def __aiter__(self) -> Any:
        return self._get_current_object().__aiter__()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._get_current_object()(*args, **kwargs)

    def __or__(self, other: Any) -> Any:
        return self._get_current_object() | other

    def __ror__(self, other: Any) -> Any:
        return other | self._get_current_object()

    def __ior__(self, other: Any) -> Any:
        target = self._get_current_object()
        target |= other
        return self


class WebSocketProxy(Proxy):
    """The proxy onto the websocket, with the calls of every message spelled out.

    Python looks for an attribute in the class before it asks ``__getattr__()``: what is found there is twice as quick.
    """

    __slots__ = ()

    def receive(self) -> Any:
        """See :meth:`triows.WebSocket.receive`."""
        context = _current.get(None)
        if context is None or context.websocket is None:
            raise RuntimeError(self._remedy)
        return context.websocket.receive()

    def send(self, message: Any) -> Any:
        """See :meth:`triows.WebSocket.send`."""
        context = _current.get(None)
        if context is None or context.websocket is None:
            raise RuntimeError(self._remedy)
        return context.websocket.send(message)


class SessionProxy(Proxy):
    """The proxy onto the session. Whoever comes through it has looked at the session, in whatever way."""

    __slots__ = ()

    def _get_current_object(self) -> Any:
        session = super()._get_current_object()
        session.accessed = True
        return session

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        self._get_current_object()
        return value


if TYPE_CHECKING:
    request: Request
    websocket: WebSocket
    session: SessionMixin
    g: Namespace
    current_app: Triows
else:
    request = Proxy(
        "request",
        "'request' is only available while a request is handled, and in the tasks that its handler starts;"
        " in tests, wrap the code in 'async with app.test_request_context(path):';"
        " in a websocket handler use 'websocket'",
    )
    websocket = WebSocketProxy(
        "websocket",
        "'websocket' is only available while a websocket is handled, and in the tasks that its handler starts;"
        " pass the object itself to tasks elsewhere: websocket.current()",
    )
    session = SessionProxy(
        "session",
        "'session' is only available while a request or websocket is handled, and in the tasks that its handler starts",
    )
    g = Proxy(
        "g",
        "'g' is only available while a request or websocket is handled, or inside 'async with app.app_context():'",
    )
    current_app = Proxy(
        "app",
        "'current_app' is only available while a request or websocket is handled, in app.nursery,"
        " or inside 'async with app.app_context():'",
    )


def has_app_context() -> bool:
    """Return whether ``current_app`` and ``g`` are available here."""
    return _current.get(None) is not None


def has_request_context() -> bool:
    """Return whether ``request`` is available here."""
    context = _current.get(None)
    return context is not None and context.request is not None


def has_websocket_context() -> bool:
    """Return whether ``websocket`` is available here."""
    context = _current.get(None)
    return context is not None and context.websocket is not None


def require_context(what: str) -> Context:
    """Return the current context.

    :raises RuntimeError: naming ``what`` was tried outside of one.
    """
    context = _current.get(None)
    if context is None:
        raise RuntimeError(f"{what} needs a request, a websocket or 'async with app.app_context():' around it")
    return context
