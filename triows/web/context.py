"""The context of one request or websocket: the objects that its handler and all child tasks share."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Token
from typing import Any, cast

from werkzeug.routing import MapAdapter

from ..tasks.context import Namespace, TaskContext, current
from .request import Request
from .response import Response
from .sessions import SessionMixin
from .websocket import WebSocket


class Context:
    """The context of one request, one websocket, or (neither given) of the app alone.

    :ivar g: the namespace behind :data:`triows.g`.
    :ivar after_this_request: the functions of :func:`triows.after_this_request`, None before the first.
    :ivar flashes: what :func:`triows.get_flashed_messages` has taken out of the session, None before the first call.
    """

    __slots__ = ("after_this_request", "app", "flashes", "g", "request", "session", "url_adapter", "websocket")

    def __init__(self, app: Any, request: Request | None = None, websocket: WebSocket | None = None) -> None:
        self.app: Any = app  # Any: users read their own subclass of Triows, and its attributes, from here
        self.request: Request | None = request
        self.websocket: WebSocket | None = websocket
        self.g: Namespace = app.app_ctx_globals_class()
        self.session: SessionMixin | None = None
        self.url_adapter: MapAdapter | None = None
        self.after_this_request: list[Callable[[Response], Any]] | None = None
        self.flashes: list[tuple[str, str]] | None = None

    @property
    def subject(self) -> Request | WebSocket | None:
        """The request or websocket of this context."""
        return self.request if self.request is not None else self.websocket

    @property
    def app_ctx(self) -> Context:
        """The context itself: each has an app. Quart's name, as the two below."""
        return self

    @property
    def request_ctx(self) -> Context | None:
        """The context itself, if it has a request."""
        return None if self.request is None else self

    @property
    def websocket_ctx(self) -> Context | None:
        """The context itself, if it has a websocket."""
        return None if self.websocket is None else self

    @property
    def name(self) -> str | None:
        """The name of the request or websocket in messages; None if there is neither."""
        return None if self.subject is None else self.subject.connection.name

    @property
    def request_id(self) -> str | None:
        """The id of the request or websocket, if somebody has asked for one."""
        return None if self.subject is None else self.subject.connection.request_id

    def for_background(self) -> BackgroundContext:
        """Return a context with a ``g`` of its own, for what outlives this one; the request and the rest are shared."""
        context = BackgroundContext(self.app, self.request, self.websocket)
        context.session, context.url_adapter = self.session, self.url_adapter
        return context

    def push(self) -> Token[TaskContext]:
        """Make this the current context of the task. Pass the returned token to :meth:`pop`."""
        return current.set(self)

    def pop(self, token: Token[TaskContext]) -> None:
        """Restore the context that was current before the :meth:`push` that gave ``token``."""
        current.reset(token)


class BackgroundContext(Context):
    """The context of a background function that a request or websocket has started."""

    __slots__ = ()


def current_context() -> Context | None:
    """Return the context of this task, None if it has none."""
    return cast("Context | None", current.get(None))


def has_app_context() -> bool:
    """Return whether ``current_app`` and ``g`` are available here."""
    return current_context() is not None


def has_request_context() -> bool:
    """Return whether ``request`` is available here."""
    context = current_context()
    return context is not None and context.request is not None


def has_websocket_context() -> bool:
    """Return whether ``websocket`` is available here."""
    context = current_context()
    return context is not None and context.websocket is not None


def require_context(what: str) -> Context:
    """Return the current context.

    :param what: the call that needs the context, for the message.
    :raises RuntimeError: if there is no context.
    """
    context = current_context()
    if context is None:
        raise RuntimeError(f"{what} needs a request, a websocket or 'async with app.app_context():' around it")
    return context
