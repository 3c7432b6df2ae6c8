"""A process that serves one app: its signals, its announcement, and systemd's sockets and notifications.

The first SIGINT or SIGTERM begins an orderly shutdown. A second one ends the process at once, also while a handler
blocks the event loop: no task handles signals, but the interpreter does, between two instructions. SIGHUP ends the
process, as it does by default.
"""

from __future__ import annotations

import logging
import os
import signal
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Protocol

import trio

from ...connection.app import App as AnyApp
from ...tasks.default_handler import default_handler
from ..listeners import url
from ..serving import Server, serve
from . import systemd
from .watchdog import ShutdownWatchdog


class App(AnyApp, Protocol):
    """What a process needs of an app, beyond what a server needs."""

    @property
    def logger(self) -> logging.Logger: ...


def run(
    app: App,
    host: str | None = "127.0.0.1",
    port: int = 8000,
    *,
    fds: Sequence[int] = (),
    reuse_port: bool = False,
    certfile: str | os.PathLike[str] | None = None,
    keyfile: str | os.PathLike[str] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    access_log: bool = True,
    announce: Callable[[str], object] = print,
) -> None:
    """Run a program that serves the app until SIGINT or SIGTERM; see :meth:`triows.Triows.run`."""
    if certfile is not None:
        if ssl_context is not None:
            raise ValueError("give either ssl_context or certfile and keyfile, not both")
        ssl_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        ssl_context.load_cert_chain(certfile, keyfile)
    elif keyfile is not None:
        raise ValueError("keyfile is given without certfile")
    set_up_logging(app)
    passed = systemd.take_descriptors()
    start = partial(
        serve,
        app,
        host,
        port,
        fds=fds or passed,
        reuse_port=reuse_port,
        ssl_context=ssl_context,
        access_log=access_log,
    )
    trio.run(_run, app, start, partial(_announce, announce, ssl_context is not None))


def set_up_logging(app: App | None = None) -> None:
    """Let the server's records and the app's from INFO on come to stderr, as far as the program has set up no logging.

    The program may still do so, until the server listens at the latest.
    """
    for logger in (logging.getLogger("triows"), *(() if app is None else (app.logger,))):
        default_handler.add_to(logger)
        default_handler.set_level(logger, logging.INFO)


def _announce(announce: Callable[[str], object], secure: bool, server: Server) -> None:
    default_handler.withdraw()
    for address in server.addresses:
        with suppress(OSError):  # a full disk or a closed pipe is no reason not to serve
            announce(f"Running on {url(address, secure)} (CTRL + C to quit)")
    systemd.notify("READY=1", f"MAINPID={os.getpid()}")


async def _run(app: App, start: Callable[..., Awaitable[None]], announce: Callable[[Server], None]) -> None:
    with (
        ShutdownWatchdog(lambda: app.limits.shutdown_timeout) as watchdog,
        trio.CancelScope() as stop,
        _stopping_on_signals(stop, watchdog),
    ):
        async with trio.open_nursery() as nursery:
            server = await nursery.start(start)
            server.last_resort = watchdog.end
            announce(server)


@contextmanager
def _stopping_on_signals(stop: trio.CancelScope, watchdog: ShutdownWatchdog) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    token = trio.lowlevel.current_trio_token()
    received = False

    def begin(number: int) -> None:
        systemd.notify("STOPPING=1")
        stop.cancel(reason=f"received {signal.Signals(number).name}")

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal received
        if received:
            os._exit(128 + number)
        received = True
        watchdog.begin()
        token.run_sync_soon(begin, number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
