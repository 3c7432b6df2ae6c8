"""The methods of an app that a subclass or an assignment may replace, with Quart's names and what they do by default.

The pipeline calls them only for an app that replaces one: any other app's requests never come here. ``Cancelled`` is
given to none of them; it goes to its cancel scope.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import cached_property
from logging import Logger
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from werkzeug.exceptions import Aborter, HTTPException
from werkzeug.routing import MapAdapter

from ..tasks.functions import is_async, run_sync
from ..web.context import Context, current_context
from ..web.request import RequestBase
from ..web.response import Response
from .config import DEFAULT_CONFIG, Config
from .contexts import AsyncContext
from .environment import debug_of_environment
from .routes import urls
from .routes.hooks import run_teardown
from .routes.make_response import is_trapped, response_from

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class Stages(Protocol):
    """The stages of one request or websocket, as the pipeline runs them; see :mod:`triows.framework.pipeline`."""

    context: Context

    def match(self) -> None: ...
    async def open_session(self) -> None: ...
    async def tear_down(self, error: BaseException | None) -> None: ...
    async def full_dispatch(self) -> Response | None: ...
    async def preprocess(self) -> Any: ...
    async def dispatch(self) -> Any: ...
    async def handle_user_exception(self, error: Exception) -> Any: ...
    async def handle_http_exception(self, error: HTTPException) -> Any: ...
    async def handle_exception(self, error: Exception) -> Response | None: ...
    async def finalize(self, result: Any, from_error_handler: bool) -> Response | None: ...
    async def process(self, response: Response | None) -> Response | None: ...
    async def tear_down_hooks(self, error: BaseException | None) -> None: ...
    def log(self, error: BaseException) -> None: ...


class WithOverridables:
    """The methods of an app that may be replaced.

    ``request_context`` and ``websocket_context`` are by default the current one, as in Quart. They are annotated as
    Any, so that an override may name one of the classes of contexts.

    :ivar overrides: the names of those that a subclass or an assignment has replaced.
    :ivar overrides_make_response: whether :meth:`make_response` is one of them; only then it is awaited.
    :ivar overrides_pipeline: whether a request has to ask any of the others.
    """

    aborter_class: type[Aborter] = Aborter
    aborter: Aborter

    overrides: frozenset[str]
    overrides_make_response: bool
    overrides_pipeline: bool

    if TYPE_CHECKING:
        config_class: type[Config]
        default_config: Mapping[str, Any]
        config: Config
        root_path: str
        teardown_functions: list[Callable[..., Any]]
        url_build_error_handlers: list[Callable[..., Any]]
        url_default_functions: Any
        url_map: Any
        subdomain_matching: bool

        def options_response(self, context: Context) -> Response: ...
        @property
        def debug(self) -> bool: ...
        @cached_property
        def instance_path(self) -> str: ...
        @property
        def logger(self) -> Logger: ...

    def _note_overrides(self) -> None:
        """Note which methods a subclass or an assignment has replaced."""
        self.overrides = frozenset(
            name for name, default in _DEFAULTS.items() if getattr(getattr(self, name), "__func__", None) is not default
        )
        self.overrides_make_response = "make_response" in self.overrides
        self.overrides_pipeline = not self.overrides <= _OUTSIDE_OF_PIPELINE

    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None:
            if name in _DEFAULTS and name not in self._read_when_made and not callable(value):
                raise TypeError(f"app.{name} is a method, and cannot be {value!r:.100}")
            super().__setattr__(name, value)
            if name in _DEFAULTS:
                self._note_overrides()

    def _stages(self, context: Context | AsyncContext | None) -> Stages:
        """Return the stages of the request or websocket of a context, by default the current one.

        :raises RuntimeError: outside of a request and a websocket.
        """
        raise NotImplementedError

    # When the app is made

    def make_config(self, instance_relative: bool = False) -> Config:
        """Return the app's config, when the app is made.

        :param instance_relative: whether names of configuration files are relative to ``instance_path`` instead of
            ``root_path``.
        """
        root_path = self.instance_path if instance_relative else self.root_path
        defaults = {**DEFAULT_CONFIG, **self.default_config}
        if (debug := debug_of_environment()) is not None:
            defaults["DEBUG"] = debug
        return self.config_class(root_path, defaults)

    def make_aborter(self) -> Aborter:
        """Return what :func:`triows.abort` calls, when the app is made: an ``aborter_class``."""
        return self.aborter_class()

    # The way in

    def create_url_adapter(self, request: RequestBase | None) -> MapAdapter | None:
        """Return what matches a request and builds URLs for it; without a request, for SERVER_NAME.

        An override may change the adapter of a request, which is that request's alone: ``path_info`` and
        ``default_method`` are what is matched.

        :returns: None without a request if there is no SERVER_NAME. An override that returns None for a request has it
            answered with 404.
        """
        if request is None:
            return urls.adapter_of_server_name(self)
        # A copy, as the map keeps its adapters, without paths, for other requests.
        adapter: MapAdapter = copy(
            self.url_map.adapter_for(request, self.config["SERVER_NAME"], self.subdomain_matching)
        )
        adapter.path_info, adapter.query_args = request.path, request.query_string.decode("ascii") or None
        return adapter

    async def full_dispatch_request(self, request_context: Any = None) -> Response:
        """Return the response to the request: of the before hooks, the view or an error handler, and the after hooks.

        The errors that no error handler takes are raised.
        """
        response = await self._stages(request_context).full_dispatch()
        assert response is not None
        return response

    async def full_dispatch_websocket(self, websocket_context: Any = None) -> Response | None:
        """Run the before hooks, the handler, its error handlers and the after hooks of the websocket.

        :returns: the response in place of an acceptance, if any.
        """
        return await self._stages(websocket_context).full_dispatch()

    async def preprocess_request(self, request_context: Any = None) -> Any:
        """Call the URL value preprocessors and the before hooks; return the first hook's answer, or None."""
        return await self._stages(request_context).preprocess()

    async def preprocess_websocket(self, websocket_context: Any = None) -> Any:
        """Call the URL value preprocessors and the before hooks; return the first hook's answer, or None."""
        return await self._stages(websocket_context).preprocess()

    async def dispatch_request(self, request_context: Any = None) -> Any:
        """Call the view of the request, and return what the view returns.

        :raises werkzeug.exceptions.HTTPException: by :meth:`raise_routing_exception`, if the request has no view.
        """
        return await self._stages(request_context).dispatch()

    async def dispatch_websocket(self, websocket_context: Any = None) -> Any:
        """Call the handler of the websocket, and return what the handler returns.

        :raises werkzeug.exceptions.HTTPException: by :meth:`raise_routing_exception`, if the websocket has no handler.
        """
        return await self._stages(websocket_context).dispatch()

    def raise_routing_exception(self, request: RequestBase) -> NoReturn:
        """Raise the error of a request that has no view."""
        assert request.routing_exception is not None
        raise request.routing_exception

    # The way out

    async def make_default_options_response(self) -> Response:
        """Return the answer to OPTIONS where the view does not give it: what :meth:`options_response` returns.

        :raises RuntimeError: outside of a request.
        """
        return self.options_response(self._stages(None).context)

    async def make_response(self, result: Any) -> Response:
        """Return the response for the return value of a view.

        :raises TypeError: if a view may not return that.
        """
        return response_from(self, result)  # type: ignore[arg-type]

    async def finalize_request(
        self, result: Any, request_context: Any = None, from_error_handler: bool = False
    ) -> Response:
        """Return the response for what a view, a hook or an error handler has returned, after the after hooks.

        :param from_error_handler: log an error of an after hook, and return the response as it was.
        """
        response = await self._stages(request_context).finalize(result, from_error_handler)
        assert response is not None
        return response

    async def finalize_websocket(
        self, result: Any, websocket_context: Any = None, from_error_handler: bool = False
    ) -> Response | None:
        """Return the response for what a handler, a hook or an error handler has returned, after the after hooks."""
        return await self._stages(websocket_context).finalize(result, from_error_handler)

    async def process_response(self, response: Response, request_context: Any = None) -> Response:
        """Call the after hooks with the response and save the session; return the response or another."""
        processed = await self._stages(request_context).process(response)
        assert processed is not None
        return processed

    async def postprocess_websocket(self, response: Response | None, websocket_context: Any = None) -> Response | None:
        """Call the after hooks with the response, None after an acceptance, and save the session."""
        return await self._stages(websocket_context).process(response)

    # Errors

    async def handle_user_exception(self, error: Exception) -> Any:
        """Return what the error handler of an error returns.

        Several errors of child tasks come as one :exc:`ExceptionGroup`, and a single one by itself. The error is raised
        again if no handler takes it.
        """
        return await self._stages(None).handle_user_exception(error)

    async def handle_http_exception(self, error: HTTPException) -> Any:
        """Return what the error handler of an HTTP error returns; without a handler, the error, which is a response."""
        return await self._stages(None).handle_http_exception(error)

    async def handle_exception(self, error: Exception) -> Response:
        """Log an error that no error handler took, and return the response for it: that of the handler of 500."""
        response = await self._stages(None).handle_exception(error)
        assert response is not None
        return response

    async def handle_websocket_exception(self, error: Exception) -> Response | None:
        """Log an error that no error handler took, and return the response for it if one can still be sent."""
        return await self._stages(None).handle_exception(error)

    def log_exception(self, exception_info: ExceptionInfo) -> None:
        """Log an error to :attr:`logger`, with the request or websocket that it belongs to."""
        error = exception_info[1]
        context = current_context()
        if error is None or context is None or context.subject is None:
            self.logger.error("Exception", exc_info=exception_info)
        else:
            self._stages(context).log(error)

    def trap_http_exception(self, e: Exception) -> bool:
        """Whether an HTTP error without a handler is a fault of the view, as other exceptions are."""
        return isinstance(e, HTTPException) and is_trapped(self, e)  # type: ignore[arg-type]

    # Teardown

    async def do_teardown_request(self, exc: BaseException | None, request_context: Any = None) -> None:
        """Call the teardown hooks of the request; an error of a hook is logged."""
        await self._stages(request_context).tear_down_hooks(exc)

    async def do_teardown_websocket(self, exc: BaseException | None, websocket_context: Any = None) -> None:
        """Call the teardown hooks of the websocket; an error of a hook is logged."""
        await self._stages(websocket_context).tear_down_hooks(exc)

    async def do_teardown_appcontext(self, exc: BaseException | None) -> None:
        """Call the teardown hooks of the app context; an error of a hook is logged."""
        if self.teardown_functions:
            await run_teardown(self.logger, self._ensured(self.teardown_functions), exc)

    # URLs

    def inject_url_defaults(self, endpoint: str, values: dict[str, Any]) -> None:
        """Let the functions of ``url_defaults`` add to the values of ``url_for()``."""
        urls.inject_defaults(self.url_default_functions, endpoint, values)

    def handle_url_build_error(self, error: Exception, endpoint: str, values: dict[str, Any]) -> str:
        """Return the URL that one of ``url_build_error_handlers`` makes where no rule fits; else raise the error."""
        for function in self.url_build_error_handlers:
            try:
                url = function(error, endpoint, values)
            except type(error) as other:
                error = other
            else:
                if url is not None:
                    return str(url)
        raise error

    # Functions that are not async

    def ensure_async(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return an async function as it is, and any other one by :meth:`sync_to_async`."""
        return func if is_async(func) else self.sync_to_async(func)

    def sync_to_async(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return an async function that calls ``func`` in a worker thread, which a cancellation waits for."""
        return run_sync(func)

    def _ensured(self, functions: Sequence[Callable[..., Any]]) -> Sequence[Callable[..., Any]]:
        """Return the functions for :func:`call`, by an override of :meth:`ensure_async` if there is one."""
        if self.overrides & {"ensure_async", "sync_to_async"}:
            return [self.ensure_async(function) for function in functions]
        return functions


_DEFAULTS: Mapping[str, Any] = {
    name: value
    for name, value in vars(WithOverridables).items()
    if callable(value) and not name.startswith("_") and not isinstance(value, type)
}
_OUTSIDE_OF_PIPELINE = frozenset(
    ("make_response", "make_config", "make_aborter", "inject_url_defaults", "handle_url_build_error")
)
"""The pipeline of every app asks for these, or other code than the pipeline."""
