"""The application object: it holds what was registered and hands connections to the dispatcher."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import trio
from werkzeug.routing import BuildError, MapAdapter

from . import dispatch
from .blueprints import Blueprint
from .config import DEFAULT_CONFIG, Config
from .connection import Connection
from .context import Context, current_context
from .json import JSONProvider
from .lifespan import BackgroundNursery, Lifespan
from .limits import LIMITS, REQUEST_LIMITS, SERVER_LIMITS, WEBSOCKET_LIMITS, ServerLimits, WebSocketLimits, take_limits
from .logs import error_log
from .offline import offline_request
from .request import Request
from .response import Response
from .returning import response_from
from .routing import Rule, URLMap
from .scaffold import F, Scaffold
from .sessions import SecureCookieSessionInterface, SessionInterface
from .stats import Counters, Stats
from .views import View
from .websocket import WebSocket

if TYPE_CHECKING:
    from .testing import TestApp, TestClient

_NO_METHODS: Iterable[str] = ()


class Triows(Scaffold):
    """A web application.

    :param import_name: ``__name__`` of the module, which names the app.
    :param host_matching: match rules by their ``host`` option too.
    :param subdomain_matching: match rules by their ``subdomain`` option, below SERVER_NAME.
    :param limits: any limit of :class:`~triows.WebSocketLimits` and :class:`~triows.ServerLimits`: sizes in
        bytes, times in seconds.
    :raises TypeError: if there is no such limit, or its value has a wrong type.
    :raises ValueError: if a limit makes no sense.
    """

    request_class: type[Request] = Request
    response_class: type[Response] = Response
    websocket_class: type[WebSocket] = WebSocket
    session_interface: SessionInterface = SecureCookieSessionInterface()

    def __init__(
        self, import_name: str, *, host_matching: bool = False, subdomain_matching: bool = False, **limits: Any
    ) -> None:
        super().__init__(import_name)
        self.name = import_name
        self.config = Config(DEFAULT_CONFIG)
        for name, value in limits.items():
            if name not in LIMITS:
                raise TypeError(f"Triows() has no limit {name!r}; the limits are {', '.join(LIMITS)}")
            self.config[name.upper()] = value
        self.logger = error_log
        self.json = JSONProvider(self.response_class)
        self.url_map = URLMap(host_matching=host_matching)
        self.subdomain_matching = subdomain_matching
        self.views: dict[str, View] = {}
        self.blueprints: dict[str, Blueprint] = {}
        self.extensions: dict[str, Any] = {}
        self.teardown_functions: list[Callable[..., Any]] = []
        self.asgi_app: Callable[..., Awaitable[None]] = self._asgi_app
        self.counters = Counters()
        self._lifespan = Lifespan(self)
        self._limits: tuple[int, ServerLimits] | None = None

    def __repr__(self) -> str:
        return f"<Triows {self.name!r}>"

    # Configuration

    @property
    def secret_key(self) -> str | bytes | None:
        """SECRET_KEY: what sessions are signed with. Keep it random, long, and secret."""
        return cast("str | bytes | None", self.config["SECRET_KEY"])

    @secret_key.setter
    def secret_key(self, value: str | bytes | None) -> None:
        self.config["SECRET_KEY"] = value

    @property
    def debug(self) -> bool:
        """DEBUG."""
        return bool(self.config["DEBUG"])

    @debug.setter
    def debug(self, value: bool) -> None:
        self.config["DEBUG"] = value

    @property
    def testing(self) -> bool:
        """TESTING."""
        return bool(self.config["TESTING"])

    @testing.setter
    def testing(self, value: bool) -> None:
        self.config["TESTING"] = value

    @property
    def permanent_session_lifetime(self) -> timedelta:
        """PERMANENT_SESSION_LIFETIME; a number there is in seconds."""
        lifetime = self.config["PERMANENT_SESSION_LIFETIME"]
        return lifetime if isinstance(lifetime, timedelta) else timedelta(seconds=lifetime)

    @permanent_session_lifetime.setter
    def permanent_session_lifetime(self, value: timedelta | int) -> None:
        self.config["PERMANENT_SESSION_LIFETIME"] = value

    @property
    def limits(self) -> ServerLimits:
        """The limits for the server, from the config."""
        if self._limits is None or self._limits[0] != self.config.revision:
            values = {name: self.config[name.upper()] for name in SERVER_LIMITS}
            if self.config["MAX_CONTENT_LENGTH"] is not None:
                values["max_body_size"] = self.config["MAX_CONTENT_LENGTH"]
            self._limits = self.config.revision, ServerLimits(**values)
        return self._limits[1]

    def websocket_limits(self, options: Mapping[str, Any] | None = None) -> WebSocketLimits:
        """Return the limits for a websocket: those of its route, and the app's for the others.

        :raises TypeError: if a limit has a wrong type or an unknown name.
        :raises ValueError: if a limit makes no sense.
        """
        values = {name: self.config[name.upper()] for name in WEBSOCKET_LIMITS}
        return WebSocketLimits(**{**values, **(options or {})})

    def rule_limits(self, rule: Rule) -> WebSocketLimits:
        """Return the limits of a websocket rule, which keeps them until the config changes."""
        if rule.limits is None or rule.limits[0] != self.config.revision:
            rule.limits = self.config.revision, self.websocket_limits(rule.own_limits)
        return rule.limits[1]

    def limit_request(self, request: Request) -> None:
        """Give a request the limits of its body: those of its route, and the app's for the others."""
        config, rule, limits = self.config, request.url_rule, self.limits
        if rule is not None and rule.own_limits:
            if rule.request_limits is None or rule.request_limits[0] != config.revision:
                rule.request_limits = config.revision, replace(limits, **rule.own_limits)
            limits = rule.request_limits[1]
        request.connection.limits = limits
        request.max_content_length = limits.max_body_size
        request.max_form_memory_size = config["MAX_FORM_MEMORY_SIZE"]
        request.max_form_parts = config["MAX_FORM_PARTS"]

    # Routes

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: Callable[..., Any] | None = None,
        provide_automatic_options: bool | None = None,
        *,
        methods: Iterable[str] | None = None,
        **options: Any,
    ) -> None:
        """Register an HTTP view function: what :meth:`route` does, without a decorator."""
        if isinstance(methods, str):
            raise TypeError(f"methods is the string {methods!r}; it must be a list of strings, like [{methods!r}]")
        endpoint = _endpoint(endpoint, view_func)
        own: Iterable[str] = methods if methods is not None else getattr(view_func, "methods", None) or ("GET",)
        wanted = {method.upper() for method in own}
        wanted.update(getattr(view_func, "required_methods", _NO_METHODS))
        if provide_automatic_options is None:
            provide_automatic_options = getattr(view_func, "provide_automatic_options", None)
            if provide_automatic_options is None:
                provide_automatic_options = "OPTIONS" not in wanted
                wanted.add("OPTIONS")
        if view_func is not None:
            self.set_view(endpoint, view_func)
        own_limits = take_limits(options, REQUEST_LIMITS)
        self.url_map.add(
            Rule(
                rule,
                endpoint=endpoint,
                methods=wanted,
                provide_automatic_options=provide_automatic_options,
                own_limits=own_limits,
                **options,
            )
        )

    def add_websocket(
        self, rule: str, endpoint: str | None = None, view_func: Callable[..., Any] | None = None, **options: Any
    ) -> None:
        """Register a websocket handler: what :meth:`websocket` does, without a decorator."""
        endpoint = _endpoint(endpoint, view_func)
        own_limits = take_limits(options, WEBSOCKET_LIMITS)
        if view_func is None and endpoint in self.views:
            view_func = self.views[endpoint].function  # given to endpoint() before this rule
        if view_func is not None:
            self.set_view(endpoint, view_func, websocket=True)
        options.pop("methods", None)
        self.url_map.add(
            Rule(rule, endpoint=endpoint, methods={"GET"}, websocket=True, own_limits=own_limits, **options)
        )

    def set_view(self, endpoint: str, function: Callable[..., Any], *, websocket: bool = False) -> None:
        """Make ``function`` the view of an endpoint.

        :raises AssertionError: if it has another one already.
        """
        known = self.views.get(endpoint)
        if known is None or (websocket and known.function is function):
            self.views[endpoint] = View(function, websocket=websocket)
        elif known.function is not function:
            raise AssertionError(
                f"the endpoint {endpoint!r} has another function already; give one of them an endpoint='other_name'"
            )

    @property
    def view_functions(self) -> dict[str, Callable[..., Any]]:
        """The view functions by their endpoints."""
        return {endpoint: view.function for endpoint, view in self.views.items()}

    def endpoint(self, endpoint: str) -> Callable[[F], F]:
        """Register the decorated function as the view of an endpoint whose rules are added without one."""

        def decorator(function: F) -> F:
            websocket = any(rule.websocket and rule.endpoint == endpoint for rule in self.url_map.iter_rules())
            self.set_view(endpoint, function, websocket=websocket)
            return function

        return decorator

    def register_blueprint(self, blueprint: Blueprint, **options: Any) -> None:
        """Register a blueprint.

        :param options: ``url_prefix``, ``subdomain``, ``url_defaults``, ``name`` in place of the blueprint's own, and
            ``name_prefix``, put before its name with a dot.
        :raises ValueError: if the app has a blueprint of that name already.
        """
        blueprint.register(self, options)

    def options_response(self, context: Context) -> Response:
        """Return the answer to OPTIONS where the view does not give it: the allowed methods (RFC 9110, 9.3.7)."""
        response = self.response_class()
        assert context.url_adapter is not None
        assert context.request is not None
        response.allow.update(context.url_adapter.allowed_methods(context.request.path))
        return response

    def url_for(
        self,
        endpoint: str,
        *,
        _anchor: str | None = None,
        _external: bool | None = None,
        _method: str | None = None,
        _scheme: str | None = None,
        **values: Any,
    ) -> str:
        """Return the URL of an endpoint, see :func:`triows.url_for`.

        :raises RuntimeError: outside of a request without SERVER_NAME in the config.
        """
        context = current_context()
        subject = context.subject if context is not None else None
        if subject is not None and endpoint.startswith("."):
            endpoint = f"{subject.blueprint}{endpoint}" if subject.blueprint else endpoint[1:]
        if _external is None:
            _external = _scheme is not None or subject is None
        if _scheme is not None and not _external:
            raise ValueError("url_for() was given a _scheme for a URL without one; leave out _external=False")
        adapter = context.url_adapter if context is not None and context.url_adapter else self._offline_adapter()
        self._inject_url_defaults(endpoint, values)
        try:
            url = adapter.build(endpoint, values, method=_method, url_scheme=_scheme, force_external=_external)
        except BuildError as error:
            error.args = (*error.args, f"url_for({endpoint!r})")
            raise
        return url if _anchor is None else url + "#" + quote(_anchor, safe="%!#$&'()*+,/:;=?@")

    def _offline_adapter(self) -> MapAdapter:
        server_name = self.config["SERVER_NAME"]
        if server_name is None:
            raise RuntimeError(
                "url_for() outside of a request needs the server's name: set app.config['SERVER_NAME'] = 'example.com'"
            )
        return self.url_map.bind(
            server_name, self.config["APPLICATION_ROOT"], url_scheme=self.config["PREFERRED_URL_SCHEME"]
        )

    def _inject_url_defaults(self, endpoint: str, values: dict[str, Any]) -> None:
        if self.url_default_functions:
            parts = endpoint.split(".")[:-1]
            for name in (None, *(".".join(parts[: count + 1]) for count in range(len(parts)))):
                for function in self.url_default_functions.get(name, ()):
                    function(endpoint, values)

    async def make_response(self, value: Any) -> Response:
        """Return the response that a view means by returning ``value``.

        :raises TypeError: if a view may not return that.
        """
        return response_from(self, value)

    # The app's own life

    def before_serving(self, function: F) -> F:
        """Call ``function()`` when the app starts up; what it raises stops the start."""
        self._lifespan.before.append(function)
        return function

    def after_serving(self, function: F) -> F:
        """Call ``function()`` when the app shuts down, after connections and background tasks have ended."""
        self._lifespan.after.append(function)
        return function

    def while_serving(self, function: F) -> F:
        """Run an async generator function: up to its ``yield`` at start-up, and on from there at shutdown."""
        return self._lifespan.add_context(function)

    def lifespan(self, function: F) -> F:
        """Register an async context manager function, around everything that the app does.

        It is an async generator function with one ``yield``, or one decorated with
        :func:`contextlib.asynccontextmanager`, and may take the app as its argument. Nurseries may be open across the
        ``yield``.
        """
        return self._lifespan.add_context(function)

    def teardown_appcontext(self, function: F) -> F:
        """Call ``function(error)`` at the end of each request, websocket, and :meth:`app_context`."""
        self.teardown_functions.append(function)
        return function

    @property
    def nursery(self) -> BackgroundNursery:
        """The background tasks, as long as the app serves.

        :raises RuntimeError: if it does not.
        """
        return self._lifespan.nursery

    def add_background_task(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call ``function(*args, **kwargs)`` in the background; if it is not async, in a worker thread.

        A crash is logged.

        :raises RuntimeError: if the app does not serve.
        """
        self.nursery.start_call(function, args, kwargs)

    def serving(self) -> AbstractAsyncContextManager[None]:
        """Return an async context manager in which the app lives: started up, and shut down at its end.

        Servers use it. Several may: the first starts the app, the last one shuts it down.
        """
        return self._lifespan.serving()

    def test_app(self) -> TestApp:
        """Return the app for tests: ``async with app.test_app() as test_app:`` lets it live in the block."""
        from .testing import TestApp

        return TestApp(self)

    @asynccontextmanager
    async def app_context(self) -> AsyncIterator[Context]:
        """Make ``current_app`` and ``g`` available in the block, outside of requests."""
        context = Context(self)
        error: BaseException | None = None
        token = context.push()
        try:
            yield context
        except BaseException as raised:
            error = raised
            raise
        finally:
            if self.teardown_functions:
                await dispatch.run_teardown(self, [*reversed(self.teardown_functions)], error)  # noqa: ASYNC102 - shields itself
            context.pop(token)

    @asynccontextmanager
    async def test_request_context(self, path: str, **options: Any) -> AsyncIterator[Context]:
        """Make ``request`` and its like available in the block, as if the app handled a request.

        :param options: ``method``, ``headers``, ``query_string`` (text or a mapping), and one of ``data`` (bytes or
            text), ``json``, ``form`` (a mapping); ``scheme``, ``root_path``.
        """
        exchange = offline_request(self, path, **options)
        token = exchange.context.push()
        try:
            exchange.match()
            await exchange.open_session()
            yield exchange.context
        finally:
            exchange.context.pop(token)

    # Serving

    def stats(self) -> Stats:
        """Return what the app has counted since it was made, and what it is doing now, however it is served."""
        return self.counters.stats()

    def handle(self, connection: Connection) -> Coroutine[Any, Any, None]:
        """Serve one connection; what the servers await, inside the connection's cancel scope."""
        return dispatch.handle(self, connection)

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """The app as an ASGI 3 application. Middleware wraps ``app.asgi_app``."""
        await self.asgi_app(scope, receive, send)

    async def _asgi_app(self, scope: Any, receive: Any, send: Any) -> None:
        from .asgi import asgi_app

        await asgi_app(self, scope, receive, send)

    def test_client(self, **options: Any) -> TestClient:
        """Return a client that talks to the app over memory streams, for tests."""
        from .testing import TestClient

        return TestClient(self, **options)

    def run(self, host: str = "127.0.0.1", port: int = 8000, **options: Any) -> None:
        """Serve until SIGINT or SIGTERM, in a Trio run of its own.

        Sockets that systemd passes (``LISTEN_FDS``) take the place of ``host`` and ``port``, and systemd is told when
        the app serves and when it stops.

        :param options: ``certfile`` and ``keyfile`` or ``ssl_context`` for TLS, and what :meth:`serve` takes.
        """
        from .server import process

        process.run(self, host, port, **options)

    async def serve(
        self,
        host: str | None = "127.0.0.1",
        port: int = 8000,
        *,
        ssl_context: ssl.SSLContext | None = None,
        task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED,
        **options: Any,
    ) -> None:
        """Serve until cancelled, or asked to shut down; with ``nursery.start(app.serve, ...)`` it yields the server.

        Cancelled, it closes the listeners, ends the connections in order within ``shutdown_timeout``, and then shuts
        the app down.

        :param options: ``fds``, descriptors of sockets that listen already, which are taken over in place of ``host``
            and ``port``; ``reuse_port=True``, to let other processes listen on the same port; ``access_log=False``.
        :raises OSError: if the address cannot be listened on.
        :raises ValueError: if there is no such port, or a descriptor is none of a listening TCP or Unix socket.
        """
        from .server import serving

        await serving.serve(self, host, port, ssl_context=ssl_context, task_status=task_status, **options)

    async def serve_listeners(
        self,
        listeners: Sequence[trio.abc.Listener[Any]],
        *,
        task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED,
        **options: Any,
    ) -> None:
        """Serve the connections of listeners that are open already; see :meth:`serve`."""
        from .server import serving

        await serving.serve_listeners(self, listeners, task_status=task_status, **options)

    async def serve_stream(self, stream: trio.abc.Stream, **options: Any) -> None:
        """Serve one client on any stream, until it or the server ends the connection. The stream is closed then."""
        from .server import serving

        await serving.serve_stream(self, stream, **options)


def _endpoint(endpoint: str | None, function: Callable[..., Any] | None) -> str:
    if endpoint is not None:
        return endpoint
    name = getattr(function, "__name__", None)
    if name is None:
        raise TypeError(f"{function!r} has no name to be the endpoint; give endpoint='name'")
    return str(name)
