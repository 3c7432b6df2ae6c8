"""What apps and blueprints share: the decorators that register routes, hooks and error handlers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from types import EllipsisType
from typing import Any, ClassVar, TypeVar, cast

from ...tasks.functions import TEARDOWN_REMEDY, check_no_generator, check_not_async, describe
from ...web.cors import CORS
from ..cors import WithCORS
from ..files import WithFiles
from ..folders import root_path_of
from ..quart_names import QuartNameGuard
from .arguments import check_callable, check_called_with
from .class_views import check_view_function
from .hooks import (
    ErrorHandler,
    F,
    HandlerTable,
    Hooks,
    HookTable,
    Kind,
    add_hook,
    error_key,
    handler_table,
    hook_table,
    register_handler,
)
from .rules import check_endpoint, check_options, check_rule
from .tables import WithTables
from .views import check_handler

M = TypeVar("M", bound=Callable[..., Any])


def bare(*names: str | EllipsisType) -> Callable[[M], M]:
    """Make a method the decorator that stands without parentheses before a function, and check the function.

    The function may be given by the name of the method's parameter too, as Quart's decorators take it.

    :param names: what the function will be called with; ``...`` for anything.
    """

    def decorate(method: M) -> M:
        _, parameter = inspect.signature(method).parameters

        @wraps(method)
        def decorator(self: Any, function: Any = None, /, **named: Any) -> Any:
            name = self.decorator_name(method.__name__)
            if named and (function is not None or named.keys() != {parameter}):
                return method(self, function, **named)  # raises Python's own error for them
            function = named.get(parameter, function)
            check_callable(function, name)
            if ... not in names:
                check_called_with(function, name, *cast("tuple[str, ...]", names))
            return method(self, function)

        return cast(M, decorator)

    return decorate


class Scaffold(WithCORS, WithTables, WithFiles, QuartNameGuard):
    """The decorators that :class:`~triows.Triows` and :class:`~triows.Blueprint` have in common.

    Hooks may be async; synchronous ones run in a worker thread.
    """

    _called: ClassVar[str] = "app"
    """What the object is called in messages."""

    def __init__(self, import_name: str, *, root_path: str | None = None) -> None:
        self.import_name = import_name
        self.root_path: str = root_path_of(import_name) if root_path is None else root_path
        self.hooks: dict[Kind, Hooks] = {"request": Hooks(), "websocket": Hooks()}
        self.error_handlers: HandlerTable = handler_table()
        self.url_value_preprocessors: HookTable = hook_table()
        self.url_default_functions: HookTable = hook_table()
        self.cors_policies: dict[str | None, CORS] = {}

    def _check_setup(self) -> None:
        """Raise an error if it is too late to add routes, hooks or handlers."""

    def decorator_name(self, name: str) -> str:
        """Return how one of the decorators is written, for messages."""
        return f"@{self._called}.{name}"

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
        check_rule(rule, f"{self._called}.add_url_rule")
        check_endpoint(endpoint, f"{self._called}.add_url_rule")
        check_options(rule, options)
        if view_func is not None:
            check_view_function(view_func)
        options = {"provide_automatic_options": provide_automatic_options, "methods": methods, **options}
        self._add_http_rule(rule, endpoint, view_func, options)

    def add_websocket(
        self, rule: str, endpoint: str | None = None, view_func: Callable[..., Any] | None = None, **options: Any
    ) -> None:
        """Register a websocket handler: what :meth:`websocket` does, without a decorator."""
        check_rule(rule, f"{self._called}.add_websocket")
        check_endpoint(endpoint, f"{self._called}.add_websocket")
        check_options(rule, options, websocket=True)
        if view_func is not None:
            check_handler(view_func)
        self._add_websocket_rule(rule, endpoint, view_func, options)

    def _add_http_rule(
        self, rule: str, endpoint: str | None, view_func: Callable[..., Any] | None, options: dict[str, Any]
    ) -> None:
        """Register an HTTP view function; ``options`` are all the others of :meth:`add_url_rule`."""
        raise NotImplementedError

    def _add_websocket_rule(
        self, rule: str, endpoint: str | None, view_func: Callable[..., Any] | None, options: dict[str, Any]
    ) -> None:
        """Register a websocket handler; ``options`` are all the others of :meth:`add_websocket`."""
        raise NotImplementedError

    def route(self, rule: str, *, endpoint: str | None = None, **options: Any) -> Callable[[F], F]:
        """Register the decorated function for HTTP requests to ``rule``.

        :param rule: the path, with variables: ``"/users/<int:id>"`` (werkzeug's converters).
        :param methods: the methods, ``["GET"]`` by default; HEAD comes with GET, OPTIONS by itself.
        :param endpoint: the name for ``url_for``; the function's name by default.
        :param options: the limits ``max_body_size``, ``body_timeout`` and ``min_body_rate`` for this route; ``cors``,
            its :class:`~triows.CORS` or False for none; ``compress``, see :meth:`Triows.compress`; and ``defaults``,
            ``strict_slashes``, ``host``, ``subdomain`` ... of werkzeug's rules.
        :raises TypeError: if a limit has a wrong type.
        :raises ValueError: if a limit makes no sense, or the rule is malformed.
        :raises AssertionError: if the endpoint has another function already.
        """
        check_rule(rule, self.decorator_name("route"))

        def decorator(function: F) -> F:
            self.add_url_rule(rule, endpoint, function, **options)
            return function

        return decorator

    def get(self, rule: str, **options: Any) -> Callable[[F], F]:
        """:meth:`route` for GET."""
        return self._route_for("get", rule, options)

    def post(self, rule: str, **options: Any) -> Callable[[F], F]:
        """:meth:`route` for POST."""
        return self._route_for("post", rule, options)

    def put(self, rule: str, **options: Any) -> Callable[[F], F]:
        """:meth:`route` for PUT."""
        return self._route_for("put", rule, options)

    def patch(self, rule: str, **options: Any) -> Callable[[F], F]:
        """:meth:`route` for PATCH."""
        return self._route_for("patch", rule, options)

    def delete(self, rule: str, **options: Any) -> Callable[[F], F]:
        """:meth:`route` for DELETE."""
        return self._route_for("delete", rule, options)

    def _route_for(self, verb: str, rule: str, options: dict[str, Any]) -> Callable[[F], F]:
        check_rule(rule, self.decorator_name(verb))
        if "methods" in options:
            raise TypeError(
                f"{self.decorator_name(verb)}({rule!r}) has no option 'methods', since it is for {verb.upper()} alone;"
                f" use {self.decorator_name('route')}({rule!r}, methods={options['methods']!r})"
            )
        return self.route(rule, methods=[verb.upper()], **options)

    def websocket(self, rule: str, *, endpoint: str | None = None, **options: Any) -> Callable[[F], F]:
        """Register the decorated async function for websockets at ``rule``.

        :param options: the limits of :class:`~triows.WebSocketLimits` for this route (``max_message_size``,
            ``ping_interval``, ``origins``, ``subprotocols`` ...), and the options of :meth:`route` except ``methods``.
        :raises TypeError: if the function is not async, or a limit has a wrong type.
        :raises ValueError: if a limit makes no sense, or the rule is malformed.
        """
        check_rule(rule, self.decorator_name("websocket"))

        def decorator(function: F) -> F:
            self.add_websocket(rule, endpoint, function, **options)
            return function

        return decorator

    # Hooks

    @bare()
    def before_request(self, f: F) -> F:
        """Call ``f()`` before each request's view; a value it returns is the response instead of the view's."""
        self._check_setup()
        return add_hook(self.hooks["request"].before, f)

    @bare("response")
    def after_request(self, f: F) -> F:
        """Call ``f(response)`` after each request's view; it returns that response or another."""
        self._check_setup()
        return add_hook(self.hooks["request"].after, f)

    @bare("error")
    def teardown_request(self, f: F) -> F:
        """Call ``f(error)`` at the end of each request, however it ended, with the unhandled error or None."""
        self._check_setup()
        check_no_generator(f, TEARDOWN_REMEDY)
        return add_hook(self.hooks["request"].teardown, f)

    @bare()
    def before_websocket(self, func: F) -> F:
        """Call ``func()`` before each websocket's handler; a value it returns rejects the handshake."""
        self._check_setup()
        return add_hook(self.hooks["websocket"].before, func)

    @bare("response")
    def after_websocket(self, func: F) -> F:
        """Call ``func(response)`` after each websocket's handler; the response is None if it was accepted."""
        self._check_setup()
        return add_hook(self.hooks["websocket"].after, func)

    @bare("error")
    def teardown_websocket(self, func: F) -> F:
        """Call ``func(error)`` at the end of each websocket, however it ended, with the unhandled error or None."""
        self._check_setup()
        check_no_generator(func, TEARDOWN_REMEDY)
        return add_hook(self.hooks["websocket"].teardown, func)

    @bare("endpoint", "view_args")
    def url_value_preprocessor(self, f: F) -> F:
        """Call ``f(endpoint, view_args)``, synchronously, before the view; it may change the variables.

        :raises TypeError: if it is async.
        """
        self._check_setup()
        check_not_async(f, "write 'def', or use before_request and request.view_args")
        return add_hook(self.url_value_preprocessors, f)

    @bare("endpoint", "values")
    def url_defaults(self, f: F) -> F:
        """Call ``f(endpoint, values)``, synchronously, in ``url_for``; it may add to the values.

        :raises TypeError: if it is async.
        """
        self._check_setup()
        check_not_async(f, "write 'def'")
        return add_hook(self.url_default_functions, f)

    # Errors

    def errorhandler(self, code_or_exception: type[BaseException] | int) -> Callable[[F], F]:
        """Register the decorated function to answer an exception class or an HTTP status.

        The function is called with the exception, and may return what a view may. An exception of a child task is found
        in any depth of exception groups. :meth:`register_error_handler` says which errors are raised.
        """
        check_error_key(code_or_exception, self.decorator_name("errorhandler"))

        def decorator(function: F) -> F:
            self.register_error_handler(code_or_exception, function)
            return function

        return decorator

    def register_error_handler(self, code_or_exception: type[BaseException] | int, f: ErrorHandler) -> None:
        """Register ``f`` as :meth:`errorhandler` does.

        :raises TypeError: if ``code_or_exception`` is neither an exception class nor a status code.
        :raises ValueError: if ``code_or_exception`` is no HTTP error status.
        """
        self._check_setup()
        check_callable(f, f"{self._called}.register_error_handler")
        check_called_with(f, f"{self._called}.errorhandler", "error")
        register_handler(self.error_handlers, code_or_exception, f)


def check_error_key(key: object, decorator: str) -> None:
    """Raise an error for what no error handler can be registered for, a function for want of parentheses too."""
    if inspect.isroutine(key):
        raise TypeError(
            f"{decorator} stands without parentheses before {describe(key)}; write {decorator}(404) there, or"
            f" {decorator}(SomeError)"
        )
    error_key(cast(Any, key))
