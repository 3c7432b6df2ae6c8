"""What goes wrong around the server: logs that cannot be written, clocks that jump, handlers that fail."""

from __future__ import annotations

import io
import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import Disconnect, request, websocket
from triows.server.links.socket import SocketLink
from triows.tasks.exception_groups import unwrap_group

from ..support.http import GET
from ..support.records import error_log, lines
from ..support.wire import CLOSE, PING, PONG, TEXT, close_frame, frame
from .conftest import Client, Mode, Target, target_of


class Raising(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise OSError(28, "No space left on device")


class RaisingFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        raise ValueError("a filter that fails")


@pytest.fixture(params=["full disk", "handler", "filter"])
def broken_log(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """Logs that take nothing: a full disk, as the standard library's handlers meet it, and errors of others."""
    monkeypatch.setattr(logging, "raiseExceptions", False)  # else the standard library reports to stderr
    caplog.set_level(logging.INFO, "triows.access")
    loggers = [logging.getLogger(name) for name in ("triows.access", "triows.error", Target.__module__)]
    stream = io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True)  # type: ignore[type-var]
    handler = logging.StreamHandler(stream) if request.param == "full disk" else Raising()
    filter_ = RaisingFilter()
    for logger in loggers:
        if request.param == "filter":
            logger.addFilter(filter_)
        else:
            logger.addHandler(handler)
    yield
    for logger in loggers:
        logger.removeHandler(handler)
        logger.removeFilter(filter_)
    with suppress(OSError):
        stream.close()


async def test_a_log_that_cannot_be_written_costs_no_connection(broken_log: None, modes: dict[str, Mode]) -> None:
    async with target_of(modes["reactor"]) as target:
        client = await target.connect()
        for _ in range(2):
            await client.send(GET)
            assert (await client.read_response()).body == b"hello"
        await client.vanish()
        await target.serves()


async def test_errors_that_cannot_be_logged_cost_their_own_connection(broken_log: None, modes: dict[str, Mode]) -> None:
    async with target_of(modes["reactor"]) as target:
        add_failing(target)
        client = await target.connect()
        await client.handshake("/fail")
        assert (await client.read_close())[0] == 1011
        await client.vanish()
        await target.serves()


def add_failing(target: Target) -> None:
    @target.app.websocket("/fail")
    async def fail() -> None:
        await websocket.accept()
        raise RuntimeError("a fault of the handler")

    @target.app.route("/fail-too")
    async def fail_too() -> str:
        raise RuntimeError("a fault of the handler")


async def test_a_handler_that_raises_is_logged_and_costs_its_own_connection(
    target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    add_failing(target)
    client = await target.connect()
    await client.handshake("/fail")
    assert (await client.read_close())[0] == 1011
    await client.vanish()
    client = await target.connect()
    await client.send(GET.replace(b"/ ", b"/fail-too "))
    assert (await client.read_response()).status == 500
    await client.vanish()
    await target.serves()
    errors = error_log(caplog)
    assert [str(record.exc_info[1]) for record in errors if record.exc_info] == ["a fault of the handler"] * 2


class Unusual(BaseException):
    """An error that is no Exception; those of other event loops' cancellations are such."""


@pytest.mark.parametrize("kind", [Unusual, GeneratorExit])
async def test_an_error_that_is_no_exception_costs_its_own_connection_too(
    modes: dict[str, Mode], caplog: pytest.LogCaptureFixture, kind: type[BaseException]
) -> None:
    async def fail(where: str = "a child") -> None:
        raise kind(f"in {where}")

    async with target_of(modes["reactor"]) as target:

        @target.app.before_request
        async def before() -> None:
            if request.path == "/before":
                await fail("a hook")

        @target.app.teardown_request
        async def after(error: BaseException | None) -> None:
            if request.path == "/after":
                await fail("a teardown hook")

        @target.app.route("/request")
        @target.app.route("/before")
        @target.app.route("/after")
        async def page() -> str:
            if request.path == "/request":
                await fail("a handler")
            return "done"

        @target.app.route("/error")
        async def erroneous() -> str:
            raise ValueError("for its error handler")

        @target.app.errorhandler(ValueError)
        async def fail_again(error: ValueError) -> str:
            raise kind("in an error handler") from error

        @target.app.websocket("/websocket")
        async def conversation() -> None:
            await websocket.accept()
            websocket.nursery.start_soon(fail)
            await trio.sleep_forever()

        @target.app.websocket("/group")
        async def several() -> None:
            await websocket.accept()
            raise BaseExceptionGroup("two", [kind("first"), RuntimeError("second")])

        for path, status in ((b"/request ", 500), (b"/before ", 500), (b"/after ", 200), (b"/error ", 500)):
            client = await target.connect()
            await client.send(GET.replace(b"/ ", path))
            assert (await client.read_response()).status == status
            await client.vanish()
        for name in ("/websocket", "/group"):
            client = await target.connect()
            await client.handshake(name)
            assert (await client.read_close())[0] == 1011
            await client.vanish()
        await target.serves()
    errors = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert errors == [
        "in a handler",
        "in a hook",
        "in a teardown hook",
        "in an error handler",
        "in a child",
        "first",
        "second",
    ]


async def ask_for_the_end(client: Client, path: str) -> int:
    """The status or close code with which a handler is answered that ends the program."""
    if path == "/request":
        await client.send(GET.replace(b"/ ", b"/request "))
        code = (await client.read_response()).status
    else:
        await client.handshake(path)
        code = (await client.read_close())[0]
        await client.send(close_frame(code))
    await client.vanish()
    return code


@pytest.mark.parametrize(("path", "code"), [("/request", 500), ("/websocket", 1011)])
@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit("enough")])
async def test_what_is_meant_to_end_the_program_ends_it_in_order(
    end: BaseException, path: str, code: int, mode: Mode
) -> None:
    """Its own client is told of an error, and the others that the server goes away."""
    others: list[Disconnect | None] = []
    with pytest.raises(BaseExceptionGroup) as raised:
        async with target_of(mode) as target:
            others = target.disconnects

            @target.app.route("/request")
            async def page() -> str:
                raise end

            @target.app.websocket("/websocket")
            async def conversation() -> None:
                await websocket.accept()
                raise end

            waiting = [await target.connect() for _ in range(3)]
            for client in waiting:
                await client.handshake("/ws")
            assert await ask_for_the_end(await target.connect(), path) == code
            with trio.CancelScope(shield=True):
                for client in waiting:
                    assert await client.read_close() == (1001, "")
                    await client.send(close_frame(1001))
                    await client.vanish()
            await trio.sleep_forever()
    assert unwrap_group(raised.value) is end
    assert others == [Disconnect(1001, "", "shutdown")] * 3


async def keep_a_cancellation() -> BaseException:
    """What a shared result is to those who wait for it, when the one who computed it was cancelled."""
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as cancelled:
            return cancelled
    raise AssertionError("it was not cancelled")


async def test_a_cancellation_that_was_kept_and_is_raised_in_another_handler_is_an_error_of_that(
    modes: dict[str, Mode], caplog: pytest.LogCaptureFixture
) -> None:
    async with target_of(modes["reactor"]) as target:
        kept = await keep_a_cancellation()

        @target.app.route("/request")
        async def page() -> str:
            raise kept

        @target.app.websocket("/websocket")
        async def conversation() -> None:
            await websocket.accept()
            raise BaseExceptionGroup("of some tasks", [kept, kept])

        other = await target.connect()
        await other.handshake("/echo")
        client = await target.connect()
        await client.send(GET.replace(b"/ ", b"/request "))
        assert (await client.read_response()).status == 500
        await client.vanish()
        client = await target.connect()
        await client.handshake("/websocket")
        assert (await client.read_close())[0] == 1011
        await client.vanish()
        await other.send_text("and this one?")
        assert await other.read_frame() == (TEXT, b"and this one?")
        await other.vanish()
        await target.serves()
    errors = error_log(caplog)
    assert lines(errors) == [
        "handling b'/request' failed",
        "handling b'/websocket' failed",
    ]
    assert all("was kept, and raised again" in str(record.exc_info[1]) for record in errors if record.exc_info)


async def test_a_descriptor_that_the_app_has_closed_by_mistake_costs_its_own_client(
    modes: dict[str, Mode], caplog: pytest.LogCaptureFixture
) -> None:
    async with target_of(modes["reactor"]) as target:
        victim = await target.connect()
        await victim.handshake("/ws")
        [connection] = target.server._connections
        fileno = cast(SocketLink, connection.link).fileno
        sock = trio.socket.socket()
        os.close(fileno)
        await sock.connect(("127.0.0.1", target.server.port))  # accepted at the lowest number that is free
        client = Client(trio.SocketStream(sock))
        await client.handshake("/echo")
        await client.send_text("for me alone")
        assert await client.read_frame() == (TEXT, b"for me alone")
        await target.until_handlers_ended()
        assert target.kinds() == ["lost"]
        await client.vanish()
        await victim.vanish()
        await target.serves()
    assert lines(error_log(caplog)) == [
        f"another part of the program has closed descriptor {fileno}, a client's; that client is lost"
    ]


def send_while_the_process_stands_still(client: Client, data: bytes, clock: MockClock) -> None:
    assert os.write(client.transport.socket.fileno(), data) == len(data)
    clock.jump(60)


@pytest.mark.parametrize("mode", ["reactor", "tasks"])
@pytest.mark.parametrize("rest", [b"", b"123", b"1234567890"], ids=["head", "body", "rest of a body"])
async def test_a_request_that_came_in_time_to_a_process_that_was_stopped_is_served(
    rest: bytes, mode: str, modes: dict[str, Mode], mock_clock: MockClock
) -> None:
    async with target_of(modes[mode], keep_alive_timeout=None) as target:
        client = await target.connect()
        head = b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"
        sent = len(head) - 1 if not rest else len(head) + 10 - len(rest)
        await client.send((head + b"1234567890")[:sent])
        await wait_all_tasks_blocked()
        send_while_the_process_stands_still(client, (head + b"1234567890")[sent:], mock_clock)
        response = await client.read_response()
        await client.vanish()
        assert (response.status, response.body) == (200, b"10")
        await target.serves()


@pytest.mark.parametrize("mode", ["reactor", "tasks"])
async def test_a_pong_that_came_in_time_to_a_process_that_was_stopped_is_a_sign_of_life(
    mode: str, modes: dict[str, Mode], mock_clock: MockClock
) -> None:
    async with target_of(modes[mode]) as target:
        client = await target.connect()
        await client.handshake("/ws")
        await wait_all_tasks_blocked()
        mock_clock.jump(20)
        assert await client.read_frame() == (PING, b"1")
        await wait_all_tasks_blocked()
        send_while_the_process_stands_still(client, frame(PONG, b"1"), mock_clock)
        assert await client.read_frame() == (PING, b"2")
        await client.send_text("still there")
        assert await client.read_frame() == (TEXT, b"still there")
        await client.vanish()
        await target.serves()


@pytest.mark.parametrize("seconds", [-1e9, 1e9], ids=["back", "forth"])
async def test_a_wall_clock_that_jumps_changes_nothing(
    seconds: float, modes: dict[str, Mode], monkeypatch: pytest.MonkeyPatch, mock_clock: MockClock
) -> None:
    async with target_of(modes["reactor"]) as target:
        client = await target.connect()
        await client.handshake("/ws")
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + seconds)
        await client.send_text("still")
        assert await client.read_frame() == (TEXT, b"still")
        await client.send(b"\x88\x82\0\0\0\0\x03\xe8")
        assert (await client.read_frame())[0] == CLOSE
        await client.vanish()
        page = await target.connect()
        await page.send(GET)
        assert (await page.read_response()).status == 200
        await page.vanish()
        await target.until_handlers_ended()
        assert target.kinds() == ["closed"]
        assert trio.current_time() < 1e6
