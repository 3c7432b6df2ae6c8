"""What an app offers to whoever runs it: each is one call, and costs nothing before it is called."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import cached_property
from logging import Logger
from typing import TYPE_CHECKING, Any

from ..connection.base import Connection
from ..connection.logs import Notices
from ..connection.rates import Buckets
from ..connection.stats import Counters
from ..tasks.default_handler import default_handler
from ..web.response import Response
from ..web.websocket import WebSocket
from .config import Config
from .contexts import AsyncContext
from .cross_origin import CrossOriginGuard
from .disconnecting import disconnect
from .health import Health
from .lifespan import Lifespan
from .request_ids import RequestIDs
from .routes.hooks import Hooks, Kind
from .routes.rules import URLMap
from .security_headers import SecurityHeaders


class WithOperation:
    """The part of an app that is for its operation."""

    counters: Counters
    notices: Notices
    config: Config
    hooks: dict[Kind, Hooks]
    url_map: URLMap
    _lifespan: Lifespan
    _native_servers: int

    if TYPE_CHECKING:

        @property
        def logger(self) -> Logger: ...
        @logger.setter
        def logger(self, value: Logger) -> None: ...
        def app_context(self) -> AsyncContext: ...

    @cached_property
    def handshake_buckets(self) -> Buckets:
        """What each client has left of ``max_handshake_rate``."""
        return Buckets()

    @property
    def is_ready(self) -> bool:
        """Whether the app's start-up is over and its shutdown has not begun."""
        return self._lifespan.is_ready

    def handle(self, connection: Connection) -> Coroutine[Any, Any, None]:
        """Serve one connection. Servers await the result inside the connection's cancel scope."""
        raise NotImplementedError

    def _replace_handle(self, call: str, handle: Callable[[Connection], Coroutine[Any, Any, None]]) -> None:
        """Let ``handle`` take the app's connections from now on; servers that run keep what they have."""
        if self._native_servers:
            raise RuntimeError(f"{call} is called while the app is served, which would not know of it; call it before")
        self.handle = handle  # type: ignore[assignment,method-assign]

    def _choose_log_format(self) -> None:
        if (log_format := self.config["LOG_FORMAT"]) is not None:
            default_handler.log_format = log_format

    def health(
        self,
        live: str | None = "/livez",
        ready: str | None = "/readyz",
        *,
        checks: Mapping[str, Callable[[], Awaitable[object]]] | None = None,
        timeout: float = 2.0,
    ) -> None:
        """Answer the probes of orchestrators and load balancers, GET and HEAD, with a status and a little JSON.

        ``live`` answers 200 for as long as the event loop runs. ``ready`` answers 200 when the app has started up, and
        all checks are well; 503 as soon as a shutdown is asked for, and while a check is not well. Both are answered
        before routes, hooks, sessions and ``trusted_hosts``; answers of 200 are not in the access log.

        :param live: the path, None for none.
        :param ready: the path, None for none.
        :param checks: async functions without arguments, by name; all are called for each probe, at once, in an app
            context. One that returns False, raises or takes too long is not well. The answer has the names and ``ok``,
            ``failed`` or ``timeout``, and nothing of the error, which the log has, once a minute.
        :param timeout: seconds that each check may take.
        :raises ValueError: if the app has a route for one of the paths.
        :raises TypeError: if a check is not async.
        :raises RuntimeError: if the app is served already.
        """
        health = Health(self, live, ready, checks or {}, timeout, self.handle)
        for rule in self.url_map.iter_rules():
            if rule.rule in health.paths:
                raise ValueError(f"{rule.rule!r} is the path of {rule.endpoint!r} already; give the probe another one")
        self._replace_handle("health()", health.handle)

    def request_ids(self, header: str = "X-Request-ID", *, echo: bool = False) -> None:
        """Give each request and websocket an id from its beginning: ``request.id``, ``websocket.id``.

        A proxy of ``trusted_proxies`` may have given it in ``header``: at most 128 characters of visible ASCII without
        quotes, brackets and backslashes. What is none, and whatever other clients send, is replaced by a new one.
        Records of the request's tasks have it as the attribute ``request_id``, as those of the access log do, and it
        stands behind each line that triows writes by itself.

        :param echo: whether responses have the header too, and the answers to handshakes. Those of the server itself,
            to requests that never reach the app, do not.
        :raises ValueError: if ``header`` is no name of a header.
        :raises RuntimeError: if the app is served already.
        """
        ids = RequestIDs(header, lambda: self.config, self.handle)
        self._replace_handle("request_ids()", ids.handle)
        if echo:
            self._finish_responses(ids.tell_in_response)
            self.hooks["websocket"].before.setdefault(None, []).insert(0, ids.tell_in_handshake)

    def _finish_responses(self, function: Callable[[Response | None], Awaitable[Response | None]]) -> None:
        """Call an after hook as the last one, which the first in its list is."""
        for hooks in self.hooks.values():
            hooks.after.setdefault(None, []).insert(0, function)

    def security_headers(
        self,
        *,
        hsts: int | str | None = None,
        csp: str | None = None,
        frame_options: str | None = "SAMEORIGIN",
        referrer_policy: str | None = "strict-origin-when-cross-origin",
        opener_policy: str | None = "same-origin",
        permissions_policy: str | None = None,
    ) -> None:
        """Give responses the headers that tell browsers to be careful; a header that a view has set stays as it is.

        Those of errors have them too (404, 405, 500 ...), and those that refuse a handshake. What the server refuses
        before the app sees it has none: it is plain text. ``X-Content-Type-Options: nosniff`` is always among them, and
        None leaves any other out.

        :param hsts: ``Strict-Transport-Security`` (RFC 6797), for requests over TLS: the seconds of ``max-age``, or the
            text: ``"max-age=63072000; includeSubDomains"``. Browsers refuse plain HTTP for so long; begin with an hour.
        :param csp: ``Content-Security-Policy``. With ``frame-ancestors`` in it, browsers ignore ``frame_options``.
        :param frame_options: ``X-Frame-Options``.
        :param referrer_policy: ``Referrer-Policy``.
        :param opener_policy: ``Cross-Origin-Opener-Policy``.
        :param permissions_policy: ``Permissions-Policy``.
        :raises TypeError: if a value is no text.
        :raises ValueError: if it cannot be the value of a header.
        """
        headers = {
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": frame_options,
            "Referrer-Policy": referrer_policy,
            "Cross-Origin-Opener-Policy": opener_policy,
            "Content-Security-Policy": csp,
            "Permissions-Policy": permissions_policy,
        }
        self._finish_responses(SecurityHeaders(headers, hsts).add)

    def csrf_protect(self, *, trusted_origins: Iterable[str] = (), exempt: Iterable[str] = ()) -> None:
        """Refuse unsafe requests (POST, PUT, PATCH, DELETE ...) that pages of other origins make, with 403.

        It goes by ``Sec-Fetch-Site`` and ``Origin``, which browsers send and no page can set: forms need no token.
        Requests with neither are let in, since no browser's page makes them. It is the first ``before_request`` hook,
        and error handlers of 403 may answer. Handshakes of websockets have ``origins`` for the same purpose.

        :param trusted_origins: origins whose pages may make such requests, as in ``origins``; but neither ``*`` nor
            ``null``.
        :param exempt: the endpoints of routes that are open to all pages.
        :raises TypeError: if one of these is no list of text.
        :raises ValueError: if an origin is none.
        """
        guard = CrossOriginGuard(self, trusted_origins, exempt)
        self.hooks["request"].before.setdefault(None, []).insert(0, guard.check)

    def disconnect(self, match: Callable[[WebSocket], object], code: int = 4001, reason: str = "") -> int:
        """End all websockets of this process for which ``match(websocket)`` is true, whichever server carries them.

        ``match`` is called at once, in the context of each websocket: ``session`` and ``g`` are that websocket's, as
        its handler has left them. Websockets of all routes are asked, also while their ``before_websocket`` hooks run;
        those that have ended, or are about to, are not. An error of ``match`` is raised here, and ends none.

        Each handler is cancelled, as by a client that leaves: messages that have arrived are delivered first, and
        ``websocket.disconnect`` has the kind ``server``, the code and the reason. The client gets Close with these when
        the handler has ended, or 403 if the handshake is not answered yet. The call waits for none of it. It may match
        the websocket of its own handler, which is cancelled at its next checkpoint.

        :param code: 1000-1003, 1007-1014 or 3000-4999 (RFC 6455, section 7.4).
        :param reason: at most 123 bytes of UTF-8.
        :return: how many are ended.
        :raises TypeError: if ``match`` is async.
        :raises ValueError: for a code or reason that may not be sent.
        """
        return disconnect(self.counters, match, code, reason)
