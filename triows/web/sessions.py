"""Sessions: a dict that survives between the requests of one client, by default in a signed cookie.

A websocket's session is written where there still is a response to write it to: when the handshake is accepted or
rejected. Changes after accepting cannot reach the client, and the log reports them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from inspect import isawaitable
from typing import Any, ClassVar, NoReturn, cast

from itsdangerous import BadData, URLSafeTimedSerializer

from ..protocol.headers import Headers
from ..tasks.functions import call, describe, is_async
from .headers import encode_headers
from .request import RequestBase
from .response import Response
from .tagged_json import TaggedJSONSerializer


class SessionMixin(MutableMapping[str, Any]):
    """What the app and a session interface read of a session, beside its items.

    A class of your own has it behind what holds the items: ``class ServerSession(dict, SessionMixin)``.

    :ivar new: whether the client had no session before.
    :ivar modified: whether the session must be saved. Changing a value inside it in place is not seen: set it then.
    :ivar accessed: whether the session was read or changed, so that the response varies with the Cookie header.
    """

    new: bool = False
    modified: bool = True
    accessed: bool = True

    @property
    def permanent(self) -> bool:
        """Whether the session outlives the browser, by PERMANENT_SESSION_LIFETIME."""
        return bool(self.get("_permanent", False))

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self["_permanent"] = bool(value)

    def regenerate(self) -> None:
        """Give the session another id, and end the former one: see :class:`~triows.ServerSideSessions`.

        :raises RuntimeError: if it has no id.
        """
        raise RuntimeError(f"a {type(self).__name__} has no id, as its cookie holds all of it; use ServerSideSessions")

    async def save(self) -> None:
        """Save the changes now, rather than with the response: see :class:`~triows.ServerSideSessions`.

        :raises RuntimeError: if the session is kept in a cookie.
        """
        raise RuntimeError(
            f"a {type(self).__name__} is saved with the response, as its cookie holds all of it; use ServerSideSessions"
        )


def note_access(session: object) -> None:
    """Note that a session is used. One of a class of its interface's own, a dict for one, may have no place for it."""
    try:
        cast(SessionMixin, session).accessed = True
    except AttributeError:
        pass


class SecureCookieSession(dict[str, Any], SessionMixin):
    """The session of :class:`SecureCookieSessionInterface`. It sets ``modified`` and ``accessed`` itself."""

    modified: bool = False
    accessed: bool = False

    def __init__(self, initial: dict[str, Any] | None = None) -> None:
        super().__init__(initial or ())

    def __getitem__(self, key: str) -> Any:
        self.accessed = True
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.accessed = True
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """See :class:`dict`."""
        self.accessed = True
        return super().get(key, default)

    def __setitem__(self, key: str, value: Any) -> None:
        self._touch()
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        self._touch()
        super().__delitem__(key)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """See :class:`dict`."""
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, *default: Any) -> Any:
        """See :class:`dict`."""
        self._touch()
        return super().pop(key, *default)

    def popitem(self) -> tuple[str, Any]:
        """See :class:`dict`."""
        self._touch()
        return super().popitem()

    def update(self, *args: Any, **kwargs: Any) -> None:
        """See :class:`dict`."""
        self._touch()
        super().update(*args, **kwargs)

    def __ior__(self, other: Any) -> SecureCookieSession:  # type: ignore[override,misc]
        self.update(other)
        return self

    def clear(self) -> None:
        """See :class:`dict`."""
        self._touch()
        super().clear()

    def _touch(self) -> None:
        self.modified = self.accessed = True


class NullSession(SecureCookieSession):
    """The session of an app without a secret key: empty, and writing to it raises an error."""

    def _touch(self) -> NoReturn:
        raise RuntimeError(
            "the session cannot be written because the app has no secret key; set app.secret_key to a random string"
        )


class SessionInterface:
    """Opens and saves sessions. Set an instance of a subclass as ``app.session_interface``.

    ``open_session()`` and ``save_session()`` may be async or not. What is not runs in a worker thread, since it may
    block. Interfaces that were written for Quart or Flask, without this class, work too.
    """

    null_session_class: type[SessionMixin] = NullSession
    pickle_based: bool = False
    """Whether sessions are pickled. Nothing here reads it; extensions do."""

    def open_session(self, app: Any, request: RequestBase) -> SessionMixin | Awaitable[SessionMixin | None] | None:
        """Return the session of a request or websocket; None if the app has no sessions."""
        raise NotImplementedError(f"{type(self).__name__} needs an open_session() method")

    def save_session(self, app: Any, session: SessionMixin, response: Response | None) -> Awaitable[None] | None:
        """Save the session, into the response if a cookie holds it.

        :param response: None at the end of a websocket that was accepted.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a save_session() method")

    async def make_null_session(self, app: Any) -> SessionMixin:
        """Return the stand-in for a session if :meth:`open_session` has returned None."""
        return self.null_session_class()

    def is_null_session(self, instance: object) -> bool:
        """Whether this is a stand-in that must not be saved."""
        return isinstance(instance, self.null_session_class)

    def accept_headers(self, app: Any, session: SessionMixin) -> Headers:
        """Return the headers that save the session when a websocket is accepted. It cannot wait: accepting does not."""
        return []

    def get_cookie_name(self, app: Any) -> str:
        """SESSION_COOKIE_NAME."""
        return cast(str, app.config["SESSION_COOKIE_NAME"])

    def get_cookie_domain(self, app: Any) -> str | None:
        """SESSION_COOKIE_DOMAIN."""
        return cast("str | None", app.config["SESSION_COOKIE_DOMAIN"])

    def get_cookie_path(self, app: Any) -> str:
        """SESSION_COOKIE_PATH, else APPLICATION_ROOT."""
        return cast(str, app.config["SESSION_COOKIE_PATH"] or app.config["APPLICATION_ROOT"])

    def get_cookie_httponly(self, app: Any) -> bool:
        """SESSION_COOKIE_HTTPONLY."""
        return cast(bool, app.config["SESSION_COOKIE_HTTPONLY"])

    def get_cookie_secure(self, app: Any) -> bool:
        """SESSION_COOKIE_SECURE."""
        return cast(bool, app.config["SESSION_COOKIE_SECURE"])

    def get_cookie_samesite(self, app: Any) -> str | None:
        """SESSION_COOKIE_SAMESITE."""
        return cast("str | None", app.config["SESSION_COOKIE_SAMESITE"])

    def get_cookie_partitioned(self, app: Any) -> bool:
        """SESSION_COOKIE_PARTITIONED."""
        return cast(bool, app.config["SESSION_COOKIE_PARTITIONED"])

    def get_expiration_time(self, app: Any, session: SessionMixin) -> datetime | None:
        """When the cookie expires; None: when the browser is closed."""
        if session.permanent:
            return datetime.now(UTC) + cast(timedelta, app.permanent_session_lifetime)
        return None

    def should_set_cookie(self, app: Any, session: SessionMixin) -> bool:
        """Whether the cookie must be sent again."""
        return session.modified or (session.permanent and app.config["SESSION_REFRESH_EACH_REQUEST"])


def cookie_attributes(interface: SessionInterface, app: Any) -> dict[str, Any]:
    """Return the attributes of the session's cookie, as ``set_cookie()`` and ``delete_cookie()`` take them."""
    return {
        "domain": interface.get_cookie_domain(app),
        "httponly": interface.get_cookie_httponly(app),
        "partitioned": interface.get_cookie_partitioned(app),
        "path": interface.get_cookie_path(app),
        "samesite": interface.get_cookie_samesite(app),
        "secure": interface.get_cookie_secure(app),
    }


async def open_session(interface: SessionInterface, app: Any, request: RequestBase) -> SessionMixin:
    """Open the session of a request or websocket, by an interface of whichever kind."""
    session: SessionMixin | None
    if _is_async_method(interface.open_session):
        session = await cast("Awaitable[SessionMixin | None]", interface.open_session(app, request))
    else:
        session = await call(interface.open_session, app, request)
    if session is not None:
        return session
    null_session = interface.make_null_session(app)
    return await null_session if isawaitable(null_session) else null_session


async def save_session(
    interface: SessionInterface, app: Any, session: SessionMixin | None, response: Response | None
) -> None:
    """Save the session, if there is one to save, by an interface of whichever kind.

    :param response: None at the end of a websocket that was accepted.
    """
    if session is None or interface.is_null_session(session):
        return
    if response is None and not isinstance(interface, SessionInterface):
        await _save_without_response(interface, app, session)
    elif _is_async_method(interface.save_session):
        await cast("Awaitable[None]", interface.save_session(app, session, response))
    else:
        await call(interface.save_session, app, session, response)


async def _save_without_response(interface: SessionInterface, app: Any, session: SessionMixin) -> None:
    """Save the session of a websocket by an interface of Flask's, which always wants a response."""
    dropped = app.response_class()
    await call(interface.save_session, app, session, dropped)
    if "Set-Cookie" in dropped.headers:
        app.logger.warning(
            "%s set a cookie for a websocket that had been accepted, when none can be set any more; change the session"
            " in a request, or use an interface that has accept_headers()",
            describe(type(interface)),
        )


def accept_headers(interface: SessionInterface, app: Any, session: SessionMixin | None) -> Headers:
    """Return the headers that save the session when a websocket is accepted; an interface of Flask's has none."""
    if session is None or not isinstance(interface, SessionInterface) or interface.is_null_session(session):
        return []
    return interface.accept_headers(app, session)


def _is_async_method(method: Any) -> bool:
    function = getattr(method, "__func__", None)
    return is_async(method) if function is None else _is_async_function(function)


_is_async_function = lru_cache(maxsize=64)(is_async)  # asked twice in each request


class SecureCookieSessionInterface(SessionInterface):
    """Keeps the session in a cookie that the client can read but not change: it is signed with the app's secret key."""

    salt = "cookie-session"
    key_derivation = "hmac"
    digest_method: ClassVar[Callable[..., Any]] = staticmethod(hashlib.sha1)
    serializer: Any = TaggedJSONSerializer()
    session_class = SecureCookieSession

    def get_signing_serializer(self, app: Any) -> URLSafeTimedSerializer | None:
        """Return the serializer that signs the cookies; None without a secret key.

        Signatures of SECRET_KEY_FALLBACKS, a list of former keys, are accepted too.
        """
        if not app.secret_key:
            return None
        keys = [*(app.config["SECRET_KEY_FALLBACKS"] or ()), app.secret_key]  # itsdangerous signs with the last
        return URLSafeTimedSerializer(
            keys,
            salt=self.salt,
            serializer=self.serializer,
            signer_kwargs={"key_derivation": self.key_derivation, "digest_method": self.digest_method},
        )

    async def open_session(self, app: Any, request: RequestBase) -> SecureCookieSession | None:
        """Return the cookie's session: empty if it is missing, forged, too old or unreadable. None without a key."""
        if not app.secret_key:
            return None
        # Where nobody has asked for the headers, and could have changed them, they need not be built.
        if "headers" not in vars(request) and not any(name == b"cookie" for name, _ in request.head.headers):
            return self.session_class()
        cookie = request.cookies.get(self.get_cookie_name(app))
        signer = self.get_signing_serializer(app)
        if cookie is None or signer is None:
            return self.session_class()
        max_age = int(app.permanent_session_lifetime.total_seconds())
        try:
            return self.session_class(signer.loads(cookie, max_age=max_age))
        except BadData:
            return self.session_class()

    async def save_session(self, app: Any, session: SessionMixin, response: Response | None) -> None:
        """Write the cookie into the response."""
        if response is not None:
            self._write(app, session, response)
        elif session.modified:
            app.logger.warning(
                "the session was modified after its websocket had been accepted, when no cookie can be set any more;"
                " the changes are lost: make them before websocket.accept()"
            )

    def accept_headers(self, app: Any, session: SessionMixin) -> Headers:
        """Return the cookie as a header for the acceptance of a websocket."""
        if not session.accessed and not session.modified:
            return []
        carrier = Response()
        self._write(app, session, carrier)
        session.modified = False  # set again by a change after accepting, which save_session() reports
        return encode_headers([("Set-Cookie", cookie) for cookie in carrier.headers.getlist("Set-Cookie")])

    def _write(self, app: Any, session: SessionMixin, response: Response) -> None:
        name = self.get_cookie_name(app)
        attributes = cookie_attributes(self, app)
        if session.accessed:
            response.vary.add("Cookie")
        if not session:
            if session.modified:
                response.delete_cookie(name, **attributes)
                response.vary.add("Cookie")
            return
        if not self.should_set_cookie(app, session):
            return
        signer = self.get_signing_serializer(app)
        if signer is None:
            raise RuntimeError("the session cannot be saved: the app's secret key was removed while it was open")
        expires = self.get_expiration_time(app, session)
        response.set_cookie(name, signer.dumps(dict(session)), expires=expires, **attributes)
        response.vary.add("Cookie")
