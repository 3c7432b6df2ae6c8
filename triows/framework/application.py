"""An app that nothing serves yet: its routes and hooks, its settings, and its own life."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, MutableMapping, ValuesView
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from logging import DEBUG, NOTSET, Logger
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import trio
from werkzeug.exceptions import Aborter

from ..connection.base import NoNurseryError
from ..connection.limits import (
    KEYS,
    LIMITS,
    REQUEST_LIMITS,
    WEBSOCKET_LIMITS,
    ServerLimits,
    WebSocketLimits,
    pop_limits,
)
from ..connection.logs import Notices
from ..connection.stats import Counters, Stats
from ..tasks.context import Namespace
from ..tasks.default_handler import default_handler
from ..tasks.error_log import guarded_logger
from ..tasks.functions import TEARDOWN_REMEDY, check_no_generator, describe
from ..web.context import Context, current_context
from ..web.json import JSONProvider
from ..web.request import Request
from ..web.response import Response
from ..web.sessions import SecureCookieSessionInterface, SessionInterface
from ..web.websocket import WebSocket
from . import quart_names
from .assignments import check_assignment, check_definitions
from .background import BackgroundNursery
from .commands import WithCommands
from .config import DEFAULT_CONFIG, Config
from .contexts import AsyncContext
from .files import DEFAULT_STATIC_FOLDER, StaticView, WithInstance, serves_static, static_rule
from .lifespan import Lifespan
from .limits import ConfiguredLimits, argument_hint
from .middleware import WithMiddleware
from .operation import WithOperation
from .overridables import WithOverridables
from .response_filters import WithResponseFilters
from .routes import urls
from .routes.arguments import check_unsettled_rules, check_view_arguments
from .routes.blueprints import Blueprint, check_blueprint
from .routes.decorators import Scaffold, bare
from .routes.hooks import F
from .routes.rules import Rule, URLMap, check_endpoint, endpoint_name, wanted_methods
from .routes.views import View, ViewFunctions
from .templates import WithTemplates


class App(
    WithResponseFilters,
    WithOverridables,
    WithCommands,
    WithMiddleware,
    WithOperation,
    WithTemplates,
    WithInstance,
    Scaffold,
):
    """The base of :class:`triows.Triows`, without the ways to serve and to test it; see there for the parameters."""

    request_class: type[Request] = Request
    response_class: type[Response] = Response
    websocket_class: type[WebSocket] = WebSocket
    session_interface: SessionInterface = SecureCookieSessionInterface()
    app_ctx_globals_class: type[Any] = Namespace
    config_class: type[Config] = Config
    default_config: Mapping[str, Any] = DEFAULT_CONFIG
    json_provider_class: type[JSONProvider] = JSONProvider
    url_map_class: type[URLMap] = URLMap
    url_rule_class: type[Rule] = Rule

    view_functions: MutableMapping[str, Callable[..., Any]]
    """The view functions by their endpoints: ``app.view_functions["name"] = function`` replaces one.

    A function that cannot be the view of its endpoint raises TypeError: one of a websocket has to be async.
    """
    views: dict[str, View]

    _without_effect = quart_names.APP
    _only_called = quart_names.APP_ONLY_CALLED
    _missing = quart_names.APP_CALLS
    _read_when_made = quart_names.APP_READ_WHEN_MADE

    def __init__(
        self,
        import_name: str,
        static_url_path: str | None = None,
        static_folder: str | os.PathLike[str] | None = DEFAULT_STATIC_FOLDER,
        static_host: str | None = None,
        host_matching: bool = False,
        subdomain_matching: bool = False,
        template_folder: str | os.PathLike[str] | None = "templates",
        *,
        instance_path: str | os.PathLike[str] | None = None,
        instance_relative_config: bool = False,
        root_path: str | None = None,
        **limits: Any,
    ) -> None:
        super().__init__(import_name, root_path=root_path)
        self._init_templates(template_folder)
        check_definitions(self)
        if host_matching and subdomain_matching:
            raise ValueError("host_matching and subdomain_matching exclude each other; leave one of them out")
        self.name: str = _name(import_name)
        self._take_static(static_folder, static_url_path)
        self._take_instance(instance_path, instance_relative_config)
        self.config: Config = self.make_config(instance_relative_config)
        for name, value in limits.items():
            if name not in LIMITS:
                raise TypeError(f"Triows() has no argument {name!r}{argument_hint(name, App.__init__)}")
            self.config[KEYS[name]] = value
        self._logger: Logger | None = None
        guarded_logger(self.name)  # before a dictConfig() that comes between the app and its first record
        self.json: JSONProvider = self.json_provider_class(self)
        self.url_map: URLMap = self.url_map_class(host_matching=host_matching)
        self.url_map.note_rule = self.note_rule
        self.subdomain_matching = subdomain_matching
        self.view_functions = ViewFunctions(self._is_websocket)
        self.unsettled_rules: list[Rule] = []
        self.blueprints: dict[str, Blueprint] = {}
        self.extensions: dict[str, Any] = {}
        self.teardown_functions: list[Callable[..., Any]] = []
        self.counters: Counters = Counters()
        self.notices: Notices = Notices()
        self.url_build_error_handlers: list[Callable[..., Any]] = []
        self._note_overrides()
        self.aborter: Aborter = self.make_aborter()
        self._lifespan = Lifespan(self)
        self._limits = ConfiguredLimits(self)
        if serves_static(self, host_matching, static_host):
            self.add_url_rule(static_rule(self), "static", StaticView(self), host=static_host)

    def __repr__(self) -> str:
        return f"<Triows {self.name!r}>"

    # Configuration

    @property
    def logger(self) -> Logger:
        """The logger with the app's name, which has the errors of handlers.

        It is made when it is first asked for. If it has no level then, and the app's DEBUG is set, its level is DEBUG.
        If it has no handler then, it gets one that writes to stderr what no other handler takes.
        """
        if self._logger is None:
            self._logger = guarded_logger(self.name)
            if self.debug and self._logger.level == NOTSET:
                self._logger.setLevel(DEBUG)
            default_handler.add_to(self._logger)
            self._choose_log_format()
        return self._logger

    @logger.setter
    def logger(self, value: Logger) -> None:
        self._logger = value

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
        """The limits for the server and for HTTP requests, from the config."""
        return self._limits.for_server()

    def websocket_limits(self, options: Mapping[str, Any] | None = None) -> WebSocketLimits:
        """Return the app's limits for websockets, with ``options`` in place of some.

        :raises TypeError: if a limit has a wrong type or an unknown name.
        :raises ValueError: if a limit makes no sense.
        """
        limits = self._limits.for_websockets()
        return replace(limits, **options) if options else limits

    def rule_limits(self, rule: Rule) -> WebSocketLimits:
        """Return the limits of a websocket rule, which keeps them until the config changes."""
        return self._limits.for_websocket_rule(rule)

    def limit_request(self, request: Request) -> None:
        """Give a request the limits of its route for the body, and the app's where the route has none."""
        limits = self._limits.for_request_rule(cast("Rule | None", request.url_rule))  # the app's map makes no others
        request.connection.limits = limits
        request.max_content_length = limits.max_body_size
        request.max_form_memory_size = self.config["MAX_FORM_MEMORY_SIZE"]
        request.max_form_parts = self.config["MAX_FORM_PARTS"]

    # Routes

    def _add_http_rule(
        self, rule: str, endpoint: str | None, view_func: Callable[..., Any] | None, options: dict[str, Any]
    ) -> None:
        endpoint = endpoint_name(endpoint, view_func)
        methods = wanted_methods(view_func, options.pop("methods"))
        automatic = options.pop("provide_automatic_options")
        if automatic is None:
            automatic = getattr(view_func, "provide_automatic_options", None)
        if automatic is None:
            automatic = "OPTIONS" not in methods and self.config["PROVIDE_AUTOMATIC_OPTIONS"]
        if automatic:
            methods.add("OPTIONS")
        own_limits = pop_limits(options, REQUEST_LIMITS)
        url_rule = self.url_rule_class(
            rule,
            endpoint=endpoint,
            methods=methods,
            provide_automatic_options=bool(automatic),
            own_limits=own_limits,
            **options,
        )
        self._check_arguments(url_rule, view_func)
        if view_func is not None:
            self.set_view(endpoint, view_func)
        self.url_map.add(url_rule)

    def _add_websocket_rule(
        self, rule: str, endpoint: str | None, view_func: Callable[..., Any] | None, options: dict[str, Any]
    ) -> None:
        endpoint = endpoint_name(endpoint, view_func)
        own_limits = pop_limits(options, WEBSOCKET_LIMITS)
        url_rule = self.url_rule_class(
            rule, endpoint=endpoint, methods={"GET"}, websocket=True, own_limits=own_limits, **options
        )
        if view_func is None and endpoint in self.views:
            view_func = self.views[endpoint].function  # given to endpoint() before this rule
        self._check_arguments(url_rule, view_func)
        if view_func is not None:
            self.set_view(endpoint, view_func, websocket=True)
        self.url_map.add(url_rule)

    def _check_arguments(self, rule: Rule, function: Callable[..., Any] | None) -> None:
        """Raise an error, before anything is registered, if the rule is malformed or its variables do not suit."""
        if function is None and rule.endpoint in self.views:
            function = self.views[rule.endpoint].function
        rule.bind(self.url_map)
        if function is not None:
            check_view_arguments(self, function, rule)

    def set_view(self, endpoint: str, function: Callable[..., Any], *, websocket: bool = False) -> None:
        """Make ``function`` the view of an endpoint.

        :raises AssertionError: if it has another one already.
        """
        cast(ViewFunctions, self.view_functions).add(endpoint, function, websocket=websocket)

    def _is_websocket(self, endpoint: str) -> bool:
        return any(rule.websocket and rule.endpoint == endpoint for rule in self.url_map.iter_rules())

    def endpoint(self, endpoint: str) -> Callable[[F], F]:
        """Register the decorated function as the view of an endpoint, in place of the one that it has, if any."""
        check_endpoint(endpoint, self.decorator_name("endpoint"))

        def decorator(function: F) -> F:
            for rule in self.url_map.iter_rules():
                if isinstance(rule, Rule) and rule.endpoint == endpoint:
                    self._check_arguments(rule, function)
            self.view_functions[endpoint] = function
            return function

        return decorator

    def register_blueprint(self, blueprint: Blueprint, **options: Any) -> None:
        """Register a blueprint.

        :param options: ``url_prefix``, ``subdomain``, ``url_defaults``, ``name`` in place of the blueprint's own, and
            ``name_prefix``, put before its name with a dot.
        :raises ValueError: if the app has a blueprint of that name already.
        """
        check_blueprint(blueprint)
        blueprint.register(self, options)

    def iter_blueprints(self) -> ValuesView[Blueprint]:
        """Return the registered blueprints, in the order of registration."""
        return self.blueprints.values()

    def options_response(self, context: Context) -> Response:
        """Return the answer to OPTIONS where the view does not give it: the allowed methods (RFC 9110, 9.3.7)."""
        response = self.response_class()
        assert context.url_adapter is not None
        assert context.request is not None
        path = None if "create_url_adapter" in self.overrides else context.request.path  # None: the adapter's own
        response.allow.update(context.url_adapter.allowed_methods(path))
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
        return urls.url_for(self, endpoint, values, anchor=_anchor, external=_external, method=_method, scheme=_scheme)

    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None:
            check_assignment(name, value)
            if name == "view_functions":
                # A new object: a test that has kept the former functions can put them back.
                if not isinstance(value, ViewFunctions):
                    value = ViewFunctions(self._is_websocket, value)
                self.views = value.views
            super().__setattr__(name, value)

    # The app's own life

    @bare()
    def before_serving(self, func: F) -> F:
        """Call ``func()`` when the app starts up. An error of it stops the start.

        :raises RuntimeError: if the app has started up already.
        """
        return self._lifespan.add_before(func)

    @bare()
    def after_serving(self, func: F) -> F:
        """Call ``func()`` when the app shuts down, after the second halves of ``while_serving``."""
        return self._lifespan.add_after(func)

    @bare()
    def while_serving(self, func: F) -> F:
        """Run an async generator function: up to its ``yield`` at start-up, and on from there at shutdown."""
        return self._lifespan.add_during(func)

    @bare(...)
    def lifespan(self, func: F) -> F:
        """Register an async context manager function, around everything that the app does.

        It is an async generator function with one ``yield``, or one decorated with
        :func:`contextlib.asynccontextmanager`, and may take the app as its argument. Nurseries may be open across the
        ``yield``.
        """
        return self._lifespan.add_around(func)

    @bare("error")
    def teardown_appcontext(self, f: F) -> F:
        """Call ``f(error)`` at the end of each app context, in the order of registration, as in Quart.

        Requests, websockets, background functions, the app's own life and :meth:`app_context` have one each.
        """
        check_no_generator(f, TEARDOWN_REMEDY)
        self.teardown_functions.append(f)
        return f

    @property
    def before_serving_funcs(self) -> list[Callable[..., Any]]:
        """The functions of :meth:`before_serving`."""
        return self._lifespan.before

    @property
    def after_serving_funcs(self) -> list[Callable[..., Any]]:
        """The functions of :meth:`after_serving`."""
        return self._lifespan.after

    @property
    def teardown_appcontext_funcs(self) -> list[Callable[..., Any]]:
        """The functions of :meth:`teardown_appcontext`."""
        return self.teardown_functions

    @property
    def nursery(self) -> BackgroundNursery:
        """The background tasks, as long as the app serves.

        :raises RuntimeError: if it does not.
        """
        return self._lifespan.nursery

    def add_background_task(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call ``func(*args, **kwargs)`` in the background; if it is not async, in a worker thread.

        The call has an app context of its own, with another ``g``; it sees the request that it was started in. A crash
        is logged.

        :raises RuntimeError: if the app does not serve: there is no life then that the task could be a part of.
        """
        try:
            nursery = self.nursery
        except NoNurseryError:
            raise NoNurseryError(
                f"add_background_task({describe(func)}) needs an app that serves, since no task outlives what started"
                " it; in tests, use 'async with app.test_app():' around the client, and under an ASGI server leave its"
                " lifespan events on"
            ) from None
        outer = current_context()
        context = Context(self) if outer is None else outer.for_background()
        start = partial(nursery.start_call, func, args, kwargs, AsyncContext(self, context))
        if trio.lowlevel.in_trio_task():
            start()
        else:  # in the worker thread of a view or hook that is not async
            trio.from_thread.run_sync(start)

    def serving(self) -> AbstractAsyncContextManager[None]:
        """Return an async context manager in which the app lives: started up, and shut down at its end.

        Servers use it. Several may: the first starts the app, the last one shuts it down.
        """
        self._check()
        return self._lifespan.serving()

    def app_context(self) -> AsyncContext:
        """Make ``current_app`` and ``g`` available outside of requests: ``async with app.app_context():``.

        Or ``await context.push()``, and in the end ``await context.pop()``.
        """
        return AsyncContext(self)

    # Serving

    def stats(self) -> Stats:
        """Return the app's statistics since it was made, whichever server carries its connections."""
        return self.counters.stats()

    def _check(self) -> None:
        self._choose_log_format()
        # Attributes may have been set on the class since it was made.
        self._refuse_definitions()
        self._note_overrides()
        self.url_map.check(self.config["SERVER_NAME"])
        check_unsettled_rules(self)


def _name(import_name: str) -> str:
    """The app's name: of the program's file, if the app is made there."""
    file = getattr(sys.modules["__main__"], "__file__", None) if import_name == "__main__" else None
    return import_name if file is None else Path(file).stem
