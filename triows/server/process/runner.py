"""A process that serves one app: its signals, its announcement, and systemd's sockets and notifications.

The first SIGINT or SIGTERM begins an orderly shutdown. A second one ends the process at once, also while a handler
blocks the event loop: no task handles signals, but the interpreter does, between two instructions. Wrappers (docker,
npm, honcho) pass on a signal that the terminal has sent already, so that two in quick succession are one. SIGHUP ends
the process, as it does by default.
"""

from __future__ import annotations

import io
import logging
import os
import signal
import ssl
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, Protocol

import trio

from ...connection.app import App as AnyApp
from ...tasks.default_handler import default_handler
from ...tasks.exception_groups import unwrap_group
from ...tasks.terminal import styled
from ..certificates import File, server_context
from ..listeners import url
from ..serving import Server, serve
from . import systemd
from .reloading import ONE_SIGNAL, Parent
from .stopping import StoppingApp, StopReport
from .watchdog import ShutdownWatchdog

RESTART_TIMEOUT = 2.0
"""Seconds that connections have to end, and the app as well, before a reloader starts the next process."""


class App(AnyApp, StoppingApp, Protocol):
    """What a process needs of an app, beyond what a server needs."""

    @property
    def logger(self) -> logging.Logger: ...
    @property
    def debug(self) -> bool: ...
    @property
    def config(self) -> MutableMapping[str, Any]: ...


def print_line(line: str) -> None:
    """Print a line to stdout at once."""
    print(line, flush=True)


def run(
    app: App,
    host: str | None = "127.0.0.1",
    port: int = 8000,
    *,
    fds: Sequence[int] = (),
    reuse_port: bool = False,
    socket_mode: int | None = None,
    ca_certs: File | None = None,
    certfile: File | None = None,
    keyfile: File | None = None,
    ssl_context: ssl.SSLContext | None = None,
    access_log: bool = True,
    root_path: str = "",
    announce: Callable[[str], object] = print_line,
    parent: Parent | None = None,
) -> None:
    """Run a program that serves the app until SIGINT or SIGTERM; see :meth:`triows.Triows.run`.

    A single error is raised without the groups of nurseries, so that SystemExit has its exit code.

    :param parent: the process that restarts this one when files change, and may end it too.
    """
    ssl_context = server_context(certfile, keyfile, ca_certs, ssl_context=ssl_context)
    set_up_output(app)
    passed = systemd.take_descriptors()
    if parent is not None and parent.fds:
        fds, reuse_port, socket_mode = parent.fds, False, None
    start = partial(
        serve,
        app,
        host,
        port,
        fds=fds or passed,
        reuse_port=reuse_port,
        socket_mode=socket_mode,
        ssl_context=ssl_context,
        access_log=access_log,
        root_path=root_path,
    )
    report = StopReport(app, announce)

    def announce_server(server: Server) -> None:
        _announce(announce, ssl_context is not None, server)
        if app.debug:
            restarts = "" if parent is None else ", and a change of a Python file restarts the app"
            _say(announce, styled(f"Debug mode is on{restarts}", "warning", sys.stdout))

    try:
        trio.run(_run, app, start, announce_server, report, parent)
    except BaseExceptionGroup as raised:
        error = unwrap_group(raised)
    else:
        return
    raise error  # not in the block above, where the group would become its context


def set_up_output(app: App | None = None) -> None:
    """Let what is printed come line by line, into a pipe too, and what is logged to stderr.

    This is for the server's records and the app's, from INFO on, as far as the program has set up no logging. It may
    still do so, until the server listens at the latest.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    default_handler.withdraw()
    levels: list[tuple[object, int]] = [(logging.getLogger("triows"), logging.INFO)]
    if app is not None:
        levels.append((app.logger, logging.DEBUG if app.debug else logging.INFO))
    for logger, level in levels:
        if isinstance(logger, logging.Logger):  # the app's may be replaced by an adapter
            default_handler.add_to(logger)
            default_handler.set_level(logger, level)


def _announce(announce: Callable[[str], object], secure: bool, server: Server) -> None:
    default_handler.withdraw()
    for address in server.addresses:
        _say(announce, f"Running on {styled(url(address, secure), 'address', sys.stdout)} (CTRL + C to quit)")
    systemd.notify("READY=1", f"MAINPID={os.getpid()}")


def _say(announce: Callable[[str], object], text: str) -> None:
    with suppress(OSError):  # a full disk or a closed pipe is no reason not to serve
        try:
            announce(text)
        except UnicodeEncodeError:  # of a Unix socket whose path the terminal has no characters for
            announce(text.encode("ascii", "backslashreplace").decode())


def _shorten_shutdown(app: App) -> None:
    """Let the app end soon: the next process is about to take its place, and clients wait for that."""
    timeout = app.limits.shutdown_timeout
    if timeout is None or timeout > RESTART_TIMEOUT:
        app.config["SHUTDOWN_TIMEOUT"] = RESTART_TIMEOUT


async def _run(
    app: App,
    start: Callable[..., Awaitable[None]],
    announce: Callable[[Server], None],
    report: StopReport,
    parent: Parent | None,
) -> None:
    async def serve(task_status: trio.TaskStatus[Server]) -> None:
        try:
            await start(task_status=task_status)
        finally:
            report.end()

    if parent is not None:
        parent.on_restart = partial(_shorten_shutdown, app)
    with (
        ShutdownWatchdog(lambda: app.limits.shutdown_timeout) as watchdog,
        trio.CancelScope() as stop,
        _stopping_on_signals(stop, watchdog, parent),
    ):
        async with trio.open_nursery() as nursery:
            server = await nursery.start(serve)
            server.last_resort = watchdog.end
            nursery.start_soon(report.run)
            announce(server)


@contextmanager
def _stopping_on_signals(stop: trio.CancelScope, watchdog: ShutdownWatchdog, parent: Parent | None) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    token = trio.lowlevel.current_trio_token()
    clock = trio.lowlevel.current_clock()
    received: float | None = None

    def begin(why: str) -> None:
        systemd.notify("STOPPING=1")
        stop.cancel(reason=why)

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal received
        now = clock.current_time()
        if received is not None:
            if now - received >= ONE_SIGNAL:
                os._exit(128 + number)
            return
        received = now
        watchdog.begin()
        token.run_sync_soon(begin, f"received {signal.Signals(number).name}")

    def end_with_parent() -> None:
        # No signal: the one that has ended the parent may come to this process too, and is its first.
        watchdog.begin()
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(begin, "the process that restarts this one ends")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    if parent is not None:
        parent.on_end = end_with_parent
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
