"""The pipeline of a connection: the same stages for HTTP requests and for websockets.

    match the URL - open the session - URL value preprocessors - before hooks - the handler, in its nursery
    - a response, or none - after hooks - save the session - send - teardown hooks

:class:`RequestPipeline` and :class:`WebSocketPipeline` have the stages in which the two kinds differ. All stages run
inside the connection's cancel scope. ``Pipeline._handle_error`` gets an error from any stage but the teardown hooks,
whose errors are only logged:

- ``Cancelled`` is always raised again, to its scope; errors beside it in a group are logged and stay on
  ``connection.error``;
- while a response can be sent, an error is answered: by its error handler; an ``HTTPException`` without one by its own
  response, unless it is trapped; any other by 500, and it is logged;
- an error of an error handler is answered likewise: an ``HTTPException`` by its error handler, if that has not been
  called yet; any other by the handler of 500;
- when none can be sent any more, ``_end_by_error`` decides;
- after a disconnect errors are only logged, an ``HTTPException`` or invalid JSON not even that;
- of several errors in a group, the first that has a handler is answered, and all are logged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, ClassVar, cast

from blinker import Signal
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.routing import RoutingException

from ...connection.base import Connection
from ...errors import JSONMessageError
from ...tasks.exception_groups import closes_coroutine, ends_program, leaves, split_cancelled
from ...tasks.functions import call
from ...web import signals
from ...web.context import Context
from ...web.debug_page import debug_response
from ...web.request import RequestBase
from ...web.response import Response
from ...web.sessions import open_session, save_session
from ..application import App
from ..contexts import tear_down_app_context
from ..routes.hooks import ErrorHandler, Hook, HookTable, Kind, run_teardown
from ..routes.make_response import is_trapped, make_response, response_from, show_missing_key
from ..routes.rules import Rule
from ..routes.views import View


class Pipeline(ABC):
    """The pipeline of one request or websocket.

    :ivar subject: the request or websocket.
    :ivar unhandled: the error that no error handler handled; teardown hooks are called with it.
    :ivar processed: whether the after hooks of a websocket were called.
    :ivar unsaved: whether saving the session has failed, so that it is not tried again with the answer to that.
    """

    __slots__ = ("app", "connection", "context", "processed", "subject", "unhandled", "unsaved")

    kind: ClassVar[Kind]
    _started: ClassVar[Signal]
    _finished: ClassVar[Signal]
    _tearing_down: ClassVar[Signal]
    _got_exception: ClassVar[Signal]
    _call = staticmethod(call)
    """Calls a hook."""

    def __init__(self, app: App, connection: Connection, subject: RequestBase, context: Context) -> None:
        self.app: App = app
        self.connection: Connection = connection
        self.subject: RequestBase = subject
        self.context: Context = context
        self.unhandled: BaseException | None = None
        self.unsaved: bool = False
        self.processed: bool = False
        subject.json_provider = app.json

    async def run(self) -> None:
        """Run all stages."""
        # Each coroutine above the handler's is resumed for each message, so that all stages are in this one.
        token = self.context.push()
        try:
            if signals.appcontext_pushed.receivers:
                await signals.send(signals.appcontext_pushed, self.app)
            self.match()
            await self.open_session()
            if (started := self._started).receivers:
                await signals.send(started, self.app)
            self.preprocess_url_values()
            answer = await self._run_before_hooks()
            if answer is not None:
                await self._finish(await self._response_of(*answer))
            elif self.subject.routing_exception is not None:
                raise self.subject.routing_exception
            else:
                view = self.app.views[cast(str, self.subject.endpoint)]
                await self._handle_result(view, await self._run_view(view))
        except BaseException as error:  # noqa: ASYNC103 - _handle_error() raises it again, unless it is an error
            await self._handle_error(error)  # noqa: ASYNC102 - it waits only if nothing was cancelled
        finally:
            try:
                await self._tear_down()  # noqa: ASYNC102 - shields itself
            finally:
                self.context.pop(token)
                if signals.appcontext_popped.receivers:
                    await signals.send_shielded(  # noqa: ASYNC102 - shields itself
                        self.app.logger, signals.appcontext_popped, self.app
                    )

    # The way in

    def match(self) -> None:
        """Find the rule for the URL; without one, set the request's ``routing_exception``."""
        subject = self.subject
        try:
            subject.url_rule, subject.view_args = self._find_rule()
        except HTTPException as error:
            subject.routing_exception = error

    def _find_rule(self) -> tuple[Rule, dict[str, Any]]:
        """Return the rule and the URL's variables, and put the adapter that finds them into the context."""
        app, subject = self.app, self.subject
        adapter = app.url_map.adapter_for(subject, app.config["SERVER_NAME"], app.subdomain_matching)
        self.context.url_adapter = adapter
        return app.url_map.match(adapter, subject, websocket=self.kind == "websocket")

    async def open_session(self) -> None:
        """Put the session into the context."""
        self.context.session = await open_session(self.app.session_interface, self.app, self.subject)

    def preprocess_url_values(self) -> None:
        """Let the hooks change the URL's variables. They run after :meth:`open_session`, and may read the session."""
        if table := self.app.url_value_preprocessors:
            for function in self._hooks(table):
                function(self.subject.endpoint, self.subject.view_args)

    async def _run_before_hooks(self) -> tuple[Hook, Any] | None:
        """Run the before hooks; return the first that gives an answer, and the answer."""
        for function in self._hooks(self.app.hooks[self.kind].before):
            value = await self._call(function)
            if value is not None:
                return function, value
        return None

    def _hooks(self, table: HookTable, *, outwards: bool = False) -> Iterable[Any]:
        """Return the app's functions, then its blueprints' from the outermost inwards; ``outwards``: in reverse."""
        if not table:
            return ()
        names: list[str | None] = [*self.subject.blueprints, None]
        functions = [function for name in reversed(names) for function in table.get(name, ())]
        return reversed(functions) if outwards else functions

    @abstractmethod
    def _run_view(self, view: View) -> Coroutine[Any, Any, Any]:
        """Run the view in the handler's nursery."""

    @abstractmethod
    async def _handle_result(self, view: View, value: Any) -> None:
        """Answer with the value that :meth:`_run_view` has returned."""

    # The way out

    async def _finish(self, response: Response | None) -> None:
        processed = await self._process(response)
        if (finished := self._finished).receivers:
            await signals.send(finished, self.app, response=processed)
        await self._send(processed)

    async def _process(self, response: Response | None) -> Response | None:
        """Run the after hooks and save the session."""
        for function in self.context.after_this_request or ():
            response = await self._call_after_hook(function, response)
        for function in self._hooks(self.app.hooks[self.kind].after, outwards=True):
            response = await self._call_after_hook(function, response)
        if not self.unsaved:
            await self._save_session(response)
        return response

    async def _save_session(self, response: Response | None) -> None:
        try:
            await save_session(self.app.session_interface, self.app, self.context.session, response)
        except Exception:
            self.unsaved = True
            raise

    async def _call_after_hook(self, function: Hook, response: Response | None) -> Response | None:
        value = await self._call(function, response)
        return response if value is None or value is response else await self._response_of(function, value)

    async def _response_of(self, function: Hook, value: Any) -> Response:
        """Make a response of what a hook or an error handler has returned."""
        return await make_response(self.app, value, function)

    @abstractmethod
    async def _send(self, response: Response | None) -> None:
        """Send the response, if there is one."""

    async def _tear_down(self) -> None:
        app = self.app
        if functions := [*self._hooks(app.hooks[self.kind].teardown, outwards=True)]:
            await run_teardown(app.logger, functions, self.unhandled)
        if (tearing_down := self._tearing_down).receivers:
            await signals.send_shielded(app.logger, tearing_down, app, exc=self.unhandled)
        await tear_down_app_context(app, self.unhandled)

    # Errors

    async def _handle_error(self, raised: BaseException) -> None:
        cancelled, rest = split_cancelled(raised)
        if rest is not None:
            if ends_program(rest) or closes_coroutine(rest):
                raise raised
            errors = [error for error in leaves(rest) if not self._is_normal_end(error)]
            for error in errors:
                show_missing_key(self.app, error)
            await self._handle_errors(errors, cancelled=cancelled is not None)
        if cancelled is not None:
            raise cancelled

    async def _handle_errors(self, errors: list[BaseException], *, cancelled: bool) -> None:
        if cancelled:
            await self._record_unhandled(errors)
        elif self.connection.disconnect is not None:
            # abort(404) and invalid JSON ask for an answer, and the client that would read it is gone: no fault.
            faults = [error for error in errors if not isinstance(error, HTTPException | JSONMessageError)]
            await self._record_unhandled(faults)
        elif errors:
            if len(errors) > 1:
                self._log(errors)
            if self._can_answer():
                await self._answer(errors)
            else:
                await self._end_by_error(errors)

    def _is_normal_end(self, error: BaseException) -> bool:
        """Whether a handler ends by this exception in order: nothing is answered and nothing logged."""
        return False

    @abstractmethod
    def _can_answer(self) -> bool:
        """Whether a response can still be sent."""

    async def _end_by_error(self, errors: list[BaseException]) -> None:
        """End a connection on which no response can be sent any more."""
        await self._end_unhandled(errors)

    async def _end_unhandled(self, errors: list[BaseException]) -> None:
        """End it by errors that no handler took."""
        await self._record_unhandled(errors, log=len(errors) == 1)

    async def _answer(self, errors: list[BaseException]) -> None:
        """Send the response of the error handlers, else 500."""
        try:
            response = await self._error_response(errors)
        except Exception as error:
            await self._record_unhandled([error])
            response = self._plain_error()
        try:
            await self._finish_error(response)
        except Exception as error:
            await self._record_unhandled([error])
            if self._can_answer():
                await self._send(self._plain_error())

    async def _error_response(self, errors: Sequence[BaseException], called: tuple[ErrorHandler, ...] = ()) -> Response:
        """Return the response of the error handlers, else the errors' own.

        :param called: the handlers that led here, each by ``abort()``; none of them is called for that again.
        """
        for error in errors:
            handler = self._find_handler(error)
            if handler is not None and handler not in called:
                try:
                    return await self._call_error_handler(handler, error)
                except HTTPException as aborted:
                    return await self._error_response([aborted], (*called, handler))
                except Exception as failure:
                    return await self._internal_error([failure], (*called, handler))
        faults = [error for error in errors if not isinstance(error, HTTPException) or is_trapped(self.app, error)]
        if called or not faults:
            return await make_response(self.app, errors[0])
        # An HTTPException beside a fault is an error of this handler too, but the fault decides the answer.
        return await self._internal_error(errors, log=len(errors) == 1)

    async def _internal_error(
        self, errors: Sequence[BaseException], called: tuple[ErrorHandler, ...] = (), *, log: bool = True
    ) -> Response:
        """Return the response of the handler of 500, for errors that no other has answered."""
        await self._record_unhandled(errors, log=log)
        if self._shows_tracebacks:
            return self._debug_response(errors)
        failure = InternalServerError(original_exception=errors[0] if len(errors) == 1 else self.unhandled)
        handler = self._find_handler(failure)
        if handler is None:
            return await make_response(self.app, failure)
        try:
            return await self._call_error_handler(handler, failure)
        except HTTPException as aborted:
            return await self._error_response([aborted], (*called, handler))

    @property
    def _shows_tracebacks(self) -> bool:
        """Whether unhandled errors are answered by their traceback, and not by the handler of 500."""
        return self.app.debug and self.app.config["PROPAGATE_EXCEPTIONS"] is not False

    def _debug_response(self, errors: Sequence[BaseException]) -> Response:
        html = "text/html" in self.subject.accept_mimetypes.values()
        return debug_response(self._one_of(errors), self._name, html=html)

    async def _call_error_handler(self, handler: ErrorHandler, error: BaseException) -> Response:
        return await self._response_of(handler, await call(handler, error))

    async def _finish_error(self, response: Response | None) -> None:
        """Finish with the response of an error handler; an error of the after hooks is logged, and not answered."""
        processed = response
        try:
            processed = await self._process(response)
            if (finished := self._finished).receivers:
                await signals.send(finished, self.app, response=processed)
        except Exception as error:
            await self._record_unhandled([error])
        await self._send(processed)

    def _plain_error(self) -> Response:
        return response_from(self.app, InternalServerError())

    def _find_handler(self, error: BaseException) -> ErrorHandler | None:
        code = None
        if isinstance(error, HTTPException):
            code = error.code
            if isinstance(error, RoutingException) or (code is None and error.response is not None):
                return None  # a redirect, or the response that abort() was given: an answer already
        names = (*self.subject.blueprints, None)
        for key in (None,) if code is None else (code, None):
            for name in names:
                handlers = self.app.error_handlers.get(name, {}).get(key)
                if handlers:
                    for class_ in type(error).__mro__:
                        if class_ in handlers:
                            return handlers[class_]
        return None

    async def _record_unhandled(self, errors: Sequence[BaseException], *, log: bool = True) -> None:
        """Log and signal the errors.

        They are set as ``connection.error``, unless there was one before: later ones follow from it.
        """
        if not errors:
            return
        if log:
            self._log(errors)
        error = self._one_of(errors)
        if self.unhandled is None:
            self.unhandled = self.connection.error = error
        if (got_exception := self._got_exception).receivers:
            await signals.send_shielded(self.app.logger, got_exception, self.app, exception=error)

    def _one_of(self, errors: Sequence[BaseException]) -> BaseException:
        """Return the one error, or a group of several."""
        return errors[0] if len(errors) == 1 else BaseExceptionGroup(f"several errors in {self._name}", errors)

    def _log(self, errors: Sequence[BaseException]) -> None:
        for error in errors:
            name = type(error).__name__
            self.app.logger.error("%s: unhandled %s%s", self._name, name, _hint(error), exc_info=error)

    @property
    def _name(self) -> str:
        """The method and path for the log. The client chose the path, so control characters are escaped."""
        method = "WEBSOCKET" if self.kind == "websocket" else ascii(self.subject.method)[1:-1]
        return f"{method} {self.subject.path!a:.1000}"


# What Python says of mistakes that are made in all async programs, and what was forgotten.
_HINTS = {
    "coroutine": "did you forget 'await'?",
    "no running event loop": "asyncio does not run here: use what Trio has, trio.sleep() for asyncio.sleep() and so on",
    "some other framework like asyncio": "asyncio does not run here: use what Trio has",
}


def _hint(error: BaseException) -> str:
    """Return a hint for the record of an error whose message says little to a newcomer; mostly empty."""
    if isinstance(error, TypeError | AttributeError | RuntimeError):
        text = str(error)
        if "did you forget" not in text:
            return next((f"; {hint}" for words, hint in _HINTS.items() if words in text), "")
    return ""
