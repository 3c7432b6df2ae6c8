"""What is said while a shutdown waits: by a whole process, with clients in memory, on a virtual clock."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from triows import Triows, websocket
from triows.server.process.runner import _run
from triows.server.process.stopping import StopReport
from triows.server.serving import serve_listeners

from ...support.wire import upgrade

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
SECOND = "(a second signal, CTRL + C, ends at once)"


class MemoryListener(trio.abc.Listener[trio.abc.Stream]):
    """A listener for clients in memory."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[trio.abc.Stream](10)

    async def connect(self) -> trio.abc.HalfCloseableStream:
        mine, its = memory_stream_pair()
        await self._send.send(its)
        return mine

    async def accept(self) -> trio.abc.Stream:
        return await self._receive.receive()

    async def aclose(self) -> None:
        await self._receive.aclose()


def make_app(**limits: Any) -> Triows:
    app = Triows("stopping", **limits)

    @app.get("/")
    async def slow() -> str:
        await trio.sleep(7.5)
        return "hello"

    @app.websocket("/ws")
    async def ws() -> None:
        await websocket.accept()
        with trio.CancelScope(shield=True):
            await trio.sleep(4.5)

    return app


async def be_client(stream: trio.abc.Stream, request: bytes) -> None:
    """Send a request, and leave when the server ends the connection, or sends a Close frame."""
    async with stream:
        await stream.send_all(request)
        while (data := await stream.receive_some()) and data[:1] != b"\x88":
            pass


async def said(
    app: Triows, *requests: bytes, number: signal.Signals = signal.SIGTERM, client: Any = be_client
) -> list[str]:
    """The lines, each with its second, of a process that gets a signal while these requests are under way."""
    began = 0.0
    lines: list[str] = []
    listener = MemoryListener()
    ready = trio.Event()
    report = StopReport(app, lambda line: lines.append(f"{trio.current_time() - began:.0f}: {line}"))
    async with trio.open_nursery() as nursery:
        start = partial(serve_listeners, app, [listener], access_log=False)
        nursery.start_soon(_run, app, start, lambda server: ready.set(), report, None)
        await ready.wait()
        for request in requests:
            nursery.start_soon(client, await listener.connect(), request)
        await wait_all_tasks_blocked()
        began = trio.current_time()
        os.kill(os.getpid(), number)
    return lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_signal_says_what_is_waited_for_and_goes_on_saying_what_is_left(
    autojump_clock: MockClock, number: signal.Signals
) -> None:
    assert await said(make_app(), GET, GET, upgrade("/ws"), number=number) == [
        f"0: Stopping: waiting for 2 requests and 1 websocket, at most 10 seconds {SECOND}",
        *(
            f"{second}: Still waiting for 2 requests and 1 websocket, at most {10 - second} seconds {SECOND}"
            for second in range(1, 5)
        ),
        *(f"{second}: Still waiting for 2 requests, at most {10 - second} seconds {SECOND}" for second in range(5, 8)),
    ]


async def test_a_stop_that_waits_for_nothing_says_nothing(autojump_clock: MockClock) -> None:
    assert await said(make_app()) == []


async def test_an_idle_connection_is_not_waited_for(autojump_clock: MockClock) -> None:
    assert await said(make_app(), b"") == []


async def test_a_client_that_stays_after_its_response_is_waited_for(autojump_clock: MockClock) -> None:
    async def stay(stream: trio.abc.Stream, request: bytes) -> None:
        await stream.send_all(request)
        await trio.sleep(20)

    lines = await said(make_app(), GET, client=stay)
    assert lines[-1] == f"9: Still waiting for 1 closing connection, at most 1 second {SECOND}"


async def test_background_tasks_are_waited_for_after_the_connections(autojump_clock: MockClock) -> None:
    app = make_app(shutdown_timeout=8)

    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(11.5)

    @app.before_serving
    async def start() -> None:
        app.add_background_task(stubborn)

    assert await said(app, GET) == [
        f"0: Stopping: waiting for 1 request and 1 background task, at most 16 seconds {SECOND}",
        *(
            f"{second}: Still waiting for 1 request and 1 background task, at most {16 - second} seconds {SECOND}"
            for second in range(1, 8)
        ),
        *(
            f"{second}: Still waiting for 1 background task, at most {16 - second} seconds {SECOND}"
            for second in range(8, 12)
        ),
    ]


async def test_the_apps_own_shutdown_is_waited_for_last(autojump_clock: MockClock) -> None:
    app = make_app()

    @app.after_serving
    async def slow() -> None:
        await trio.sleep(4.5)

    assert await said(app) == [
        f"1: Stopping: waiting for the app to shut down, at most 9 seconds {SECOND}",
        *(
            f"{second}: Still waiting for the app to shut down, at most {10 - second} seconds {SECOND}"
            for second in range(2, 5)
        ),
    ]


async def test_what_does_not_end_in_time_has_no_zero_seconds_left(autojump_clock: MockClock) -> None:
    app = make_app()

    @app.after_serving
    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(10.5)

    *_, before, last = await said(app)
    assert before.endswith(f"at most 1 second {SECOND}")
    assert last == f"10: Still waiting for the app to shut down, at most 1 second {SECOND}"


async def test_without_a_timeout_it_takes_as_long_as_it_takes(autojump_clock: MockClock) -> None:
    assert await said(make_app(shutdown_timeout=None), GET) == [
        f"0: Stopping: waiting for 1 request, for as long as it takes {SECOND}",
        *(f"{second}: Still waiting for 1 request, for as long as it takes {SECOND}" for second in range(1, 8)),
    ]


async def test_a_terminal_that_is_gone_keeps_nothing_from_ending(autojump_clock: MockClock) -> None:
    def fail(line: str) -> None:
        raise OSError(5, "Input/output error")

    report = StopReport(app := make_app(), fail)
    app.counters.requests_open = 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(report.run)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await wait_all_tasks_blocked()
        report.end()


async def test_a_server_that_fails_says_nothing(autojump_clock: MockClock) -> None:
    class Failing(MemoryListener):
        async def accept(self) -> trio.abc.Stream:
            await trio.sleep(5)
            raise ValueError("a fault of the listener")

    app, lines = make_app(), list[str]()
    start = partial(serve_listeners, app, [Failing()])
    with pytest.RaisesGroup(ValueError, flatten_subgroups=True):
        await _run(app, start, lambda server: None, StopReport(app, lines.append), None)
    assert lines == []
