"""ASGI middleware around the app, and its refusal by servers that would not run it.

Middleware takes the place of ``app.asgi_app``, which ASGI servers call. triows's own server and the test client call
``app.handle()`` instead: middleware would never run, and a login check or CORS headers in it would be missing. So they
refuse to serve such an app, before they take the first connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

ASGIApp = Callable[..., Awaitable[None]]
"""An ASGI application, called with ``scope``, ``receive`` and ``send``."""

_REMEDY = (
    ", but triows's own server and the test client would not run it: serve the app by an ASGI server"
    " (hypercorn -k trio module:app), or do the same in @app.before_request and @app.after_request"
)


class WithMiddleware:
    """An app as an ASGI application, around which middleware may be put."""

    _native_servers = 0  # number of triows's own servers and test clients that serve the app now

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The app as an ASGI 3 application. Middleware wraps ``app.asgi_app``."""
        await self.asgi_app(scope, receive, send)

    async def _asgi_app(self, scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError

    def _check(self) -> None:
        """Raise an error if something in the app would have no effect."""
        raise NotImplementedError

    @property
    def asgi_app(self) -> ASGIApp:
        """The app as ASGI servers call it. Middleware takes its place: ``app.asgi_app = Middleware(app.asgi_app)``.

        triows's own server and the test client refuse to serve an app with middleware: they would not run it.

        :raises RuntimeError: if it is replaced while they serve the app.
        """
        return self._middleware or self._asgi_app

    @asgi_app.setter
    def asgi_app(self, value: ASGIApp) -> None:
        if not callable(value):
            raise TypeError(f"app.asgi_app is set to {value!r:.100}, which cannot be called")
        if value == self._asgi_app:
            del self.asgi_app
        elif self._native_servers:
            raise RuntimeError(f"app.asgi_app is set to {_name(value)} while the app is served{_REMEDY}")
        else:
            # In the instance's __dict__ under the same name: unittest.mock looks there for the value to restore.
            self.__dict__["asgi_app"] = value

    @asgi_app.deleter
    def asgi_app(self) -> None:
        self.__dict__.pop("asgi_app", None)

    @property
    def _middleware(self) -> ASGIApp | None:
        return self.__dict__.get("asgi_app")

    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None:
            if name == "__call__":
                raise AttributeError("Python calls what the app's class has; set app.asgi_app instead of app.__call__")
            super().__setattr__(name, value)

    @contextmanager
    def served_natively(self) -> Iterator[None]:
        """Return a context manager around the time in which a server of triows's own serves the app.

        :raises RuntimeError: if the app has middleware, or something else that would have no effect.
        """
        self._check()
        self._refuse_middleware()
        self._native_servers += 1
        try:
            yield
        finally:
            self._native_servers -= 1

    def _refuse_middleware(self) -> None:
        class_ = type(self)
        if self._middleware is not None:
            raise RuntimeError(f"app.asgi_app was set to {_name(self._middleware)}{_REMEDY}")
        if class_.asgi_app is not WithMiddleware.asgi_app:
            raise RuntimeError(f"{class_.__name__} has an asgi_app of its own{_REMEDY}")
        if class_.__call__ is not WithMiddleware.__call__:
            raise RuntimeError(f"{class_.__name__} has a __call__() of its own{_REMEDY}")


def _name(value: object) -> str:
    """Return the name of middleware: a function's own, or an object's class."""
    return getattr(value, "__qualname__", type(value).__qualname__)
