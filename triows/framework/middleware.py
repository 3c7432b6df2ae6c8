"""ASGI middleware around the app, and who refuses it.

Middleware takes the place of ``app.asgi_app``, in which ASGI servers call it. triows's own server and the test client
hand their connections to the app as they are: middleware would never run there, and with it a login check or CORS
headers. So they refuse to serve such an app, before they take the first connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

ASGIApp = Callable[..., Awaitable[None]]
"""What is called with ASGI's ``scope``, ``receive`` and ``send``."""

_REMEDY = (
    ", but triows's own server and the test client would not run it: serve the app by an ASGI server"
    " (hypercorn -k trio module:app), or do the same in @app.before_request and @app.after_request"
)


class WithMiddleware:
    """The side of the app that ASGI servers see."""

    _native_servers = 0  # how many serve the app now, test clients among them

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The app as an ASGI 3 application. Middleware wraps ``app.asgi_app``."""
        await self.asgi_app(scope, receive, send)

    async def _asgi_app(self, scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError

    def _check(self) -> None:
        """Raise an error if something about the app would be without effect, however it is served."""
        raise NotImplementedError

    @property
    def asgi_app(self) -> ASGIApp:
        """What ASGI servers call. Middleware takes its place: ``app.asgi_app = Middleware(app.asgi_app)``.

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
            # Under the name itself, where unittest.mock looks for what it has to put back.
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
        """Around the time in which the app is served, and not through ASGI.

        :raises RuntimeError: if the app has middleware, or something else that would be without effect.
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
    """Name a piece of middleware: a function, or an object by its class."""
    return getattr(value, "__qualname__", type(value).__qualname__)
