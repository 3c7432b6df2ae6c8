"""Triows: an app, and the ways to serve and to test it."""

from __future__ import annotations

import inspect
import os
import ssl
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import trio

from .connection.base import Connection
from .connection.checks import did_you_mean
from .framework.application import App
from .framework.contexts import AsyncContext
from .framework.environment import debug_of_environment
from .framework.overridables import Stages
from .framework.pipeline import dispatch
from .framework.pipeline.contexts import RequestContext, WebSocketContext
from .framework.quart_names import RUN
from .tasks.context import Proxy
from .web.context import Context, current_context
from .web.request import Request
from .web.websocket import WebSocket

if TYPE_CHECKING:
    from .testing import TestApp, TestClient, TestCliRunner


class _OnDemand:
    """A class attribute whose default is imported from :mod:`triows.testing` when it is first read."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, app: object, owner: type) -> Any:
        from . import testing

        return getattr(testing, self._name)


class Server(Protocol):
    """A running server, as :meth:`Triows.serve` hands it to ``task_status.started()``.

    It is here for annotations: ``server: Server = await nursery.start(app.serve, "127.0.0.1", 0)``.
    """

    @property
    def addresses(self) -> list[tuple[str, int] | str]:
        """Where it listens, as the sockets name it: ``(host, port)``, or a path for a Unix socket."""
        ...

    @property
    def port(self) -> int:
        """The port of the first TCP listener.

        :raises RuntimeError: if it has none.
        """
        ...

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        ...

    def shutdown(self) -> None:
        """Ask for an orderly shutdown: no new clients, then the connections, then the app. Returns at once."""
        ...


class Triows(App):
    """A web application.

    :param import_name: ``__name__`` of the module, which names the app.
    :param static_url_path: the path before the names of static files; by default ``/`` and the name of the folder.
    :param static_folder: the folder of files that are served as they are, absolute or relative to ``root_path``; None:
        there is none.
    :param static_host: the host of the static files, with ``host_matching``.
    :param host_matching: match rules by their ``host`` option too.
    :param subdomain_matching: match rules by their ``subdomain`` option, below SERVER_NAME.
    :param template_folder: the folder of the app's templates, absolute or below ``root_path``.
    :param instance_path: the folder of this installation, absolute; by default ``instance`` beside the package.
    :param instance_relative_config: whether names of configuration files are relative to ``instance_path``.
    :param root_path: the folder of the app's files, by default that of the module ``import_name``.
    :param limits: any limit of :class:`~triows.WebSocketLimits` and :class:`~triows.ServerLimits`: sizes in
        bytes, times in seconds.
    :raises TypeError: if there is no such limit, or its value has a wrong type.
    :raises ValueError: if a limit makes no sense.
    """

    test_app_class: type[TestApp] = cast(Any, _OnDemand("TestApp"))
    test_cli_runner_class: type[TestCliRunner] = cast(Any, _OnDemand("TestCliRunner"))
    test_client_class: type[TestClient] = cast(Any, _OnDemand("TestClient"))

    def handle(self, connection: Connection) -> Coroutine[Any, Any, None]:
        """Serve one connection. Servers await the result inside the connection's cancel scope."""
        return dispatch.handle(self, connection)

    def _stages(self, context: Context | AsyncContext | None) -> Stages:
        if isinstance(context, AsyncContext):
            context = context.context
        return dispatch.stages_of(self, current_context() if context is None else context)

    async def _asgi_app(self, scope: Any, receive: Any, send: Any) -> None:
        from .asgi.adapter import asgi_app

        await asgi_app(self, scope, receive, send)

    # Tests

    def test_client(self, use_cookies: bool = True, **options: Any) -> TestClient:
        """Return a test client, which talks to the app over streams in memory.

        :param use_cookies: whether it keeps the cookies of responses, and sends them.
        :param options: what else a ``test_client_class`` of your own takes.
        """
        return self.test_client_class(self, use_cookies=use_cookies, **options)

    def test_app(self) -> TestApp:
        """Return the app for tests: ``async with app.test_app() as test_app:`` lets it live in the block."""
        return self.test_app_class(self)

    def test_cli_runner(self, **options: Any) -> TestCliRunner:
        """Return a runner for tests of the app's commands.

        :param options: what :class:`click.testing.CliRunner` takes.
        """
        return self.test_cli_runner_class(self, **options)

    def request_context(self, request: Request) -> RequestContext:
        """Return the context of a request, with its route and its session, for ``async with``."""
        return RequestContext(self, request)

    def websocket_context(self, websocket: WebSocket) -> WebSocketContext:
        """Return the context of a websocket, with its route and its session, for ``async with``."""
        return WebSocketContext(self, websocket)

    def test_request_context(self, path: str, **options: Any) -> RequestContext:
        """Make ``request``, ``session``, ``g`` and ``current_app`` available in the block, as in a view.

        ``await app.preprocess_request()`` in the block calls the URL value preprocessors and the before hooks.

        :param options: ``method``, ``headers``, ``query_string`` (text or a mapping), and one of ``data`` (bytes or
            text), ``json``, ``form`` (a mapping); ``scheme``, ``root_path``, ``http_version``, ``subdomain``,
            ``auth``; ``scope_base``, as for the test client.
        """
        from .testing.request_context import request_context

        return request_context(self, path, **options)

    # Serving

    def run(
        self,
        host: str | None = "127.0.0.1",
        port: int = 8000,
        debug: bool | None = None,
        use_reloader: bool = False,
        loop: None = None,
        ca_certs: str | os.PathLike[str] | None = None,
        certfile: str | os.PathLike[str] | None = None,
        keyfile: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        """Serve until SIGINT or SIGTERM, in a Trio run of its own.

        Sockets that systemd passes (``LISTEN_FDS``) take the place of ``host`` and ``port``, and systemd is told when
        the app serves and when it stops. In a module that ``triows run`` loads, this does nothing, and the log says so.

        :param debug: what to set :attr:`debug` to. None: what ``TRIOWS_DEBUG`` says, where it is set.
        :param use_reloader: whether to run the program again in a process of its own, and to restart that when a Python
            file changes. In the process that watches, the program ends here.
        :param loop: nothing else than None: Trio needs no loop.
        :param certfile: the certificate chain (PEM), for TLS.
        :param keyfile: its private key (PEM), unless it is in ``certfile``.
        :param ca_certs: authorities (PEM), one of which must have issued each client's certificate.
        :param options: ``ssl_context`` in place of the files, and what :meth:`serve` takes.
        """
        from .server.process import loading, reloading, restarting
        from .server.process import runner as process

        if loading.ignores_run(sys._getframe(1)):
            return
        if loop is not None:
            raise TypeError(f"run() has no option 'loop': {RUN['loop']}")
        _check_options("run()", options, process.run)
        self._take_debug(debug)
        parent = reloading.take_parent()
        with self.served_natively():
            if use_reloader and parent is None:
                listening = {name: options[name] for name in ("fds", "reuse_port", "socket_mode") if name in options}
                folders = [Path.cwd(), Path(self.root_path)]
                sys.exit(restarting.rerun_program(folders, process.print_line, host, port, **listening))
            files: dict[str, Any] = {"ca_certs": ca_certs, "certfile": certfile, "keyfile": keyfile}
            process.run(self, host, port, parent=parent, **files, **options)

    async def run_task(
        self,
        host: str | None = "127.0.0.1",
        port: int = 8000,
        debug: bool | None = None,
        ca_certs: str | os.PathLike[str] | None = None,
        certfile: str | os.PathLike[str] | None = None,
        keyfile: str | os.PathLike[str] | None = None,
        shutdown_trigger: Callable[[], Awaitable[Any]] | None = None,
    ) -> None:
        """Serve until cancelled, or until ``await shutdown_trigger()`` returns, which begins an orderly shutdown.

        As :meth:`serve`, with Quart's arguments, which :meth:`run` explains. It handles no signals.
        """
        from .server.certificates import server_context

        context = server_context(certfile, keyfile, ca_certs)
        self._take_debug(debug)
        if shutdown_trigger is None:
            await self.serve(host, port, ssl_context=context)
            return
        async with trio.open_nursery() as nursery:
            server = await nursery.start(partial(self._serve_in, nursery), host, port, context)
            await shutdown_trigger()
            server.shutdown()

    async def _serve_in(
        self,
        nursery: trio.Nursery,
        host: str | None,
        port: int,
        ssl_context: ssl.SSLContext | None,
        *,
        task_status: trio.TaskStatus[Server],
    ) -> None:
        """Serve, and cancel the nursery afterwards: whoever waits there for a reason to stop has none any more."""
        await self.serve(host, port, ssl_context=ssl_context, task_status=task_status)
        nursery.cancel_scope.cancel()

    def _take_debug(self, debug: bool | None) -> None:
        if debug is None:
            debug = debug_of_environment()
        if debug is not None:
            self.debug = debug

    async def serve(
        self,
        host: str | None = "127.0.0.1",
        port: int = 8000,
        *,
        ssl_context: ssl.SSLContext | None = None,
        task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
        **options: Any,
    ) -> None:
        """Serve until cancelled, or asked to shut down; with ``nursery.start(app.serve, ...)`` it yields the server.

        A cancellation closes the listeners, ends the connections in order within ``shutdown_timeout``, and then shuts
        the app down.

        :param options: ``fds``, descriptors of sockets that listen already, which are taken over in place of ``host``
            and ``port``; ``reuse_port=True``, to let other processes listen on the same port; ``socket_mode=0o660``,
            the permissions of a Unix socket's file, for ``unix:PATH``; ``access_log=False``; ``root_path="/chat"``,
            the path under which a proxy has mounted the app, whether or not it takes it away from the requests' paths.
        :raises ListenError: if the address cannot be listened on. It is an :exc:`OSError`.
        :raises ValueError: if there is no such port or mode, or a descriptor is none of a listening TCP or Unix socket.
        """
        from .server import serving

        _check_options("serve()", {"ssl_context": ssl_context, **options}, serving.serve)
        with self.served_natively():
            await serving.serve(self, host, port, ssl_context=ssl_context, task_status=task_status, **options)

    async def serve_listeners(
        self,
        listeners: Sequence[trio.abc.Listener[Any]],
        *,
        task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
        **options: Any,
    ) -> None:
        """Serve the connections of listeners that are open already; see :meth:`serve`."""
        from .server import serving

        _check_options("serve_listeners()", options, serving.serve_listeners)
        with self.served_natively():
            await serving.serve_listeners(self, listeners, task_status=task_status, **options)

    async def serve_stream(self, stream: trio.abc.Stream, **options: Any) -> None:
        """Serve one client on any stream, until it or the server ends the connection. The stream is closed then."""
        from .server import serving

        _check_options("serve_stream()", options, serving.serve_stream)
        with self.served_natively():
            await serving.serve_stream(self, stream, **options)


def _check_options(call: str, options: Mapping[str, Any], function: Callable[..., Any]) -> None:
    """Raise TypeError for an option that the function does not take, with what to do instead."""
    known = inspect.signature(function).parameters
    for name in options.keys() - known.keys():
        remedy = f": {RUN[name]}" if name in RUN else did_you_mean(name, known)
        raise TypeError(f"{call} has no option {name!r}{remedy}")


if TYPE_CHECKING:
    current_app: Triows
else:
    current_app = Proxy(
        "app",
        "'current_app' is only available while a request or websocket is handled, in app.nursery,"
        " or inside 'async with app.app_context():'",
    )
