"""The pipeline of an app that replaces a method which Quart calls between a request and its response.

All of ``app.full_dispatch_request()`` runs in the handler's nursery, since its response may be a stream that the
nursery's tasks feed. In :mod:`.base` the view alone is in the nursery, and so is ``app.dispatch_websocket()`` here.
The stages are otherwise those of :mod:`.base`: each public method is what a method of
:class:`~triows.framework.overridables.WithOverridables` does by default.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any, ClassVar, NamedTuple, cast

from werkzeug.exceptions import HTTPException, InternalServerError, MethodNotAllowed, NotFound, RequestEntityTooLarge

from ...connection.base import Connection, NoNurseryError
from ...tasks.exception_groups import leaves, unwrap_group
from ...tasks.functions import call, describe
from ...web import signals
from ...web.context import Context
from ...web.request import Request, RequestBase
from ...web.response import Response
from ...web.websocket import WebSocket
from ..application import App
from ..contexts import tear_down_app_context
from ..routes.hooks import ErrorHandler, run_teardown
from ..routes.make_response import show_missing_key
from ..routes.rules import Rule
from .base import Pipeline
from .http import RequestPipeline
from .websocket import WebSocketPipeline


class _Names(NamedTuple):
    """The app's methods for one kind of connection."""

    full_dispatch: str
    preprocess: str
    dispatch: str
    handle_exception: str
    finalize: str
    process: str
    tear_down: str


class StagedContext(Context):
    """A context that knows the stages of its request or websocket."""

    __slots__ = ("stages",)

    stages: OverriddenPipeline


class OverriddenPipeline(Pipeline):
    """The stages that both kinds share, by way of the app's methods."""

    __slots__ = ("_asked", "_logged", "_recorded", "_source")

    names: ClassVar[_Names]

    def __init__(self, app: App, connection: Connection, subject: RequestBase, context: Context) -> None:
        Pipeline.__init__(self, app, connection, subject, context)  # the kinds' own make the subject
        if isinstance(context, StagedContext):
            context.stages = self
        self._source: Callable[..., Any] | None = None  # the function whose value becomes the response
        self._logged: list[BaseException] = []
        self._recorded: list[BaseException] = []
        self._asked = False  # whether the app was asked for the answer to an error that nobody had handled

    def _ask(self, name: str, *args: Any) -> Awaitable[Any]:
        return cast("Awaitable[Any]", getattr(self.app, name)(*args))

    async def run(self) -> None:
        """Run all stages."""
        token = self.context.push()
        try:
            if signals.appcontext_pushed.receivers:
                await signals.send(signals.appcontext_pushed, self.app)
            self.match()
            await self.open_session()
            self._check_admission()
            await self._respond()
        except BaseException as error:  # noqa: ASYNC103 - _handle_error() raises it again, unless it is an error
            await self._handle_error(error)  # noqa: ASYNC102 - it waits only if nothing was cancelled
        finally:
            try:
                await self.tear_down(self.unhandled)  # noqa: ASYNC102 - shields itself
            finally:
                self.context.pop(token)
                if signals.appcontext_popped.receivers:
                    await signals.send_shielded(  # noqa: ASYNC102 - shields itself
                        self.app.logger, signals.appcontext_popped, self.app
                    )

    def _check_admission(self) -> None:
        """Raise the error of a request that none of the app's methods may let in."""

    def _handler(self) -> Callable[..., Any]:
        view = self.app.views.get(self.subject.endpoint or "")
        if view is None:
            return cast("Callable[..., Any]", getattr(self.app, self.names.dispatch))
        return view.named(self.subject.method)

    @abstractmethod
    async def _respond(self) -> None:
        """Dispatch the request or websocket, and send the response."""

    async def _response(self) -> Response | None:
        try:
            response = await self._ask(self.names.full_dispatch, self.context)
        except Exception as error:
            fault = self._fault(error)
            if fault is None:
                raise
            self._asked = True
            response = await self._ask(self.names.handle_exception, fault)
        return self._checked(response)

    def _checked(self, response: Any) -> Response | None:
        if isinstance(response, Response) or (response is None and self._takes_none()):
            return response
        raise TypeError(
            f"app.{self.names.full_dispatch}() or app.{self.names.handle_exception}() returned"
            f" {type(response).__name__} {response!r:.100}, not a Response; await app.make_response(value) makes one"
        )

    def _fault(self, raised: Exception) -> Exception | None:
        """Return what the app's methods are asked about; None for a normal end, and when the client is gone."""
        if self.connection.disconnect is not None:
            return None
        if isinstance(raised, ExceptionGroup):
            _, rest = raised.split(lambda error: self._is_normal_end(error))  # a function: a method is refused
            return None if rest is None else unwrap_group(rest)
        return None if self._is_normal_end(raised) else raised

    async def _ask_handlers(self, raised: Exception) -> tuple[Any, Exception]:
        """Return the result of ``app.handle_user_exception()``, and the error that it was asked about.

        Errors of which no handler is asked are raised again.
        """
        fault = self._fault(raised)
        if fault is None:
            raise raised
        if isinstance(fault, ExceptionGroup):
            self._log([*leaves(fault)])
        try:
            return await self.app.handle_user_exception(fault), fault
        except Exception as second:
            if second is not fault and not self._can_answer():
                self._log([fault])  # no response of the second error tells of the first
            raise

    # The way in

    def _find_rule(self) -> tuple[Rule, dict[str, Any]]:
        if "create_url_adapter" not in self.app.overrides:
            return super()._find_rule()
        adapter = self.app.create_url_adapter(self.subject)
        if adapter is None:
            raise NotFound()
        self.context.url_adapter = adapter
        subject = self.subject
        if subject.root_path and not subject.head.is_below_root:
            raise NotFound()
        if subject.method != subject.method.upper():  # as for other apps: see URLMap.match()
            raise MethodNotAllowed(adapter.allowed_methods() or None)
        # Not by the request's own path and method, which the override may have replaced in its adapter.
        rule, values = adapter.match(return_rule=True, websocket=self.kind == "websocket")
        return cast(Rule, rule), dict(values)

    async def full_dispatch(self) -> Response | None:
        """Return the response of the before hooks, the handler or an error handler, after the after hooks."""
        failed = False
        try:
            if (started := self._started).receivers:
                await signals.send(started, self.app)
            result = await self._ask(self.names.preprocess, self.context)
            if result is None:
                result = await self._dispatched()
        except Exception as error:
            failed, answerable = True, self._can_answer()
            result, fault = await self._ask_handlers(error)
            if not answerable:
                await self._end_after_start(result, fault)
                return await self._finalize_unanswered()
        try:
            return cast("Response | None", await self._ask(self.names.finalize, result, self.context, failed))
        except Exception as error:
            if not self._can_answer():
                raise
            result, _ = await self._ask_handlers(error)
            return cast("Response | None", await self._ask(self.names.finalize, result, self.context, True))

    async def _dispatched(self) -> Any:
        return await self._ask(self.names.dispatch, self.context)

    async def _end_after_start(self, result: Any, error: BaseException) -> None:
        """End a connection for which no response can be sent any more, after its error handler."""
        raise error

    async def _finalize_unanswered(self) -> Response | None:
        """Call the after hooks of a kind that has them where no response can be sent."""
        return None

    async def preprocess(self) -> Any:
        """Call the URL value preprocessors and the before hooks; return the first hook's answer, or None."""
        self.preprocess_url_values()
        answer = await Pipeline._run_before_hooks(self)  # not the kind's own, which checks the admission
        if answer is None:
            return None
        self._source, value = answer
        return value

    async def dispatch(self) -> Any:
        """Call the view, and return what the view returns."""
        if self.subject.routing_exception is not None:
            self.app.raise_routing_exception(self.subject)
        view = self.app.views[cast(str, self.subject.endpoint)]
        self._source = view.named(self.subject.method)
        if self._overrides_calls:
            return await self.app.ensure_async(view.function)(**view.arguments(self.subject, self.subject.view_args))
        return await view(self.subject, self.subject.view_args)

    @property
    def _overrides_calls(self) -> bool:
        return not self.app.overrides.isdisjoint(("ensure_async", "sync_to_async"))

    async def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        if self._overrides_calls:
            return await self.app.ensure_async(function)(*args)
        return await call(function, *args)

    # The way out

    async def finalize(self, result: Any, from_error_handler: bool) -> Response | None:
        """Return the response for a result, after the after hooks."""
        response = None if result is None and self._takes_none() else await self._made(result)
        try:
            response = cast("Response | None", await self._ask(self.names.process, response, self.context))
            if (finished := self._finished).receivers:
                await signals.send(finished, self.app, response=response)
        except Exception as error:
            if not from_error_handler:
                raise
            await self._record_unhandled([error])
        return response

    def _takes_none(self) -> bool:
        """Whether None may stand in place of a response."""
        return False

    async def _made(self, result: Any) -> Response:
        source = getattr(self.app, self.names.dispatch) if self._source is None else self._source
        return await self._response_of(source, result)

    async def process(self, response: Response | None) -> Response | None:
        """Call the after hooks with the response and save the session."""
        return await self._process(response)

    async def tear_down_hooks(self, error: BaseException | None) -> None:
        """Call the teardown hooks of the kind."""
        functions = [*self._hooks(self.app.hooks[self.kind].teardown, outwards=True)]
        if functions:
            await run_teardown(self.app.logger, self.app._ensured(functions), error)

    async def tear_down(self, error: BaseException | None) -> None:
        """Call the teardown hooks of the kind, then those of the app context; signal both."""
        app = self.app
        tear_down = getattr(app, self.names.tear_down)

        @wraps(tear_down)
        async def hooks(error: BaseException | None) -> None:
            await tear_down(error, self.context)

        await run_teardown(app.logger, [hooks], error)
        if (tearing_down := self._tearing_down).receivers:
            await signals.send_shielded(app.logger, tearing_down, app, exc=error)
        await tear_down_app_context(app, error)

    # Errors

    async def handle_user_exception(self, error: Exception) -> Any:
        """Return what the error handler of an error returns; raise the error again if no handler takes it."""
        errors = [*leaves(error)]
        for each in errors:
            show_missing_key(self.app, each)
        if isinstance(error, HTTPException) and not self.app.trap_http_exception(error):
            return await self.app.handle_http_exception(error)
        for each in errors:
            handler = self._find_handler(each)
            if handler is not None:
                return await self._result_of(handler, each)
        for each in errors:
            if not isinstance(each, HTTPException) or self.app.trap_http_exception(each):
                raise error
        return await self.app.handle_http_exception(cast(HTTPException, errors[0]))

    async def handle_http_exception(self, error: HTTPException) -> Any:
        """Return what the error handler of an HTTP error returns; without a handler, the error."""
        handler = self._find_handler(error)
        if handler is None:
            self._source = None
            return error
        return await self._result_of(handler, error)

    async def handle_exception(self, error: Exception) -> Response | None:
        """Log an error that no error handler took, and return the response for it."""
        errors = [*leaves(error)]
        if len(errors) > 1:
            self._log(errors)
        if not self._can_answer():
            await self._end_unhandled(errors)
            return await self._finalize_unanswered()
        await self._record_unhandled(errors)
        self._source = None
        if self._shows_tracebacks:
            result: Any = self._debug_response(errors)
        else:
            failure = InternalServerError(original_exception=error)
            handler = self._find_handler(failure)
            result = failure if handler is None else await self._result_of(handler, failure)
        return cast("Response | None", await self._ask(self.names.finalize, result, self.context, True))

    async def _result_of(self, handler: ErrorHandler, error: BaseException) -> Any:
        self._source = handler
        try:
            return await self._call(handler, error)
        except HTTPException as http_error:
            self._source = None
            return http_error

    async def _answer(self, errors: list[BaseException]) -> None:
        """Answer an error that came from outside of the dispatch: of a child task, or of the checks before."""
        error = self._one_of(errors)
        try:
            await self._send(self._checked(await self._answer_of(error)))
        except Exception as second:
            await self._record_unhandled([second])
            if self._can_answer():
                await self._send(self._plain_error())

    async def _answer_of(self, error: BaseException) -> Any:
        if self._asked or not isinstance(error, Exception):
            # The app's own method has failed, or it is GeneratorExit and the like: no method is asked about it.
            await self._record_unhandled([*leaves(error)])
            return self._plain_error()
        try:
            result = await self.app.handle_user_exception(error)
        except Exception as raised:
            self._asked = True
            return await self._ask(self.names.handle_exception, raised)
        if not self._can_answer():
            await self._end_after_start(result, error)
            return await self._finalize_unanswered()
        return await self._ask(self.names.finalize, result, self.context, True)

    async def _record_unhandled(self, errors: Sequence[BaseException], *, log: bool = True) -> None:
        # An override of handle_exception() may call the default and raise the error again: it is signalled once.
        new = [error for error in errors if not _contains(self._recorded, error)]
        self._recorded.extend(new)
        await super()._record_unhandled(new, log=log)

    def _log(self, errors: Sequence[BaseException]) -> None:
        for error in errors:
            if not _contains(self._logged, error):
                self._logged.append(error)
                self.app.log_exception((type(error), error, error.__traceback__))

    def log(self, error: BaseException) -> None:
        """Log an error, with the request or websocket that it belongs to."""
        super()._log([error])


class OverriddenRequestPipeline(OverriddenPipeline, RequestPipeline):
    """The pipeline of one HTTP request."""

    __slots__ = ()

    names: ClassVar[_Names] = _Names(
        "full_dispatch_request",
        "preprocess_request",
        "dispatch_request",
        "handle_exception",
        "finalize_request",
        "process_response",
        "do_teardown_request",
    )

    def __init__(self, app: App, request: Request, context: Context | None = None) -> None:
        context = StagedContext(app, request=request) if context is None else context
        OverriddenPipeline.__init__(self, app, request.connection, request, context)

    async def _respond(self) -> None:
        response = await self.connection.run_handler(self._response_in_nursery, name=self._handler())
        if response is not None:
            await self._send(response)
        elif self._can_answer() and self.connection.disconnect is None:
            raise RuntimeError(
                f"{describe(self._handler())} was cancelled by its nursery before it returned a response"
            )

    async def _response_in_nursery(self) -> Response | None:
        """Return the response. A streamed one is sent here, as the nursery's tasks may feed its stream."""
        response = await self._response()
        assert response is not None
        if not response.is_streamed:
            return response
        await self._send(response)
        return None

    async def full_dispatch(self) -> Response | None:
        """Return the response of the before hooks, the view or an error handler, after the after hooks."""
        try:
            self.connection.nursery  # noqa: B018 - while the request is served, there is one
        except NoNurseryError:
            return await self.connection.run_handler(super().full_dispatch, name=self._handler())
        return await super().full_dispatch()

    async def dispatch(self) -> Any:
        """Call the view, and return what the view returns."""
        subject = self.subject
        if subject.routing_exception is None:
            limit = self.connection.max_body_size
            if limit is not None and self.connection.content_length > limit:
                raise RequestEntityTooLarge()
            if subject.method == "OPTIONS" and cast(Rule, subject.url_rule).provide_automatic_options:
                return await self.app.make_default_options_response()
        return await super().dispatch()

    async def tear_down(self, error: BaseException | None) -> None:
        """Call the teardown hooks, and close the request's files."""
        try:
            await super().tear_down(error)
        finally:
            if self.subject.needs_close:
                await self.subject.close()  # noqa: ASYNC102 - it does not wait, unless a subclass overrides it


class OverriddenWebSocketPipeline(OverriddenPipeline, WebSocketPipeline):
    """The pipeline of one websocket."""

    __slots__ = ()

    names: ClassVar[_Names] = _Names(
        "full_dispatch_websocket",
        "preprocess_websocket",
        "dispatch_websocket",
        "handle_websocket_exception",
        "finalize_websocket",
        "postprocess_websocket",
        "do_teardown_websocket",
    )

    def __init__(self, app: App, websocket: WebSocket, context: Context | None = None) -> None:
        staged = StagedContext(app, websocket=websocket) if context is None else context
        OverriddenPipeline.__init__(self, app, websocket.connection, websocket, staged)
        if context is None:
            self._join(websocket)

    def _check_admission(self) -> None:
        self._check_origin()

    async def _respond(self) -> None:
        await self._send(await self._response())

    async def _dispatched(self) -> Any:
        # Nothing that it returns is streamed: it is the only one in the nursery.
        result = await self.connection.run_handler(super()._dispatched, name=self._handler())
        return None if result is None and self._takes_none() else result

    def _takes_none(self) -> bool:
        if self._can_answer():
            self._refuse_unaccepted(self._handler())
        return True

    async def _end_after_start(self, result: Any, error: BaseException) -> None:
        await self._end_handled(result, [*leaves(error)])

    async def _finalize_unanswered(self) -> Response | None:
        return None if self.processed else await self._ask(self.names.finalize, None, self.context, True)

    async def _end_by_error(self, errors: list[BaseException]) -> None:
        await self._answer(errors)


def _contains(errors: Sequence[BaseException], error: BaseException) -> bool:
    # By identity: a user's class may define __eq__.
    return any(error is other for other in errors)
