"""What goes wrong around the server: logs that cannot be written, clocks that jump, handlers that fail."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

from triows import websocket

from ..wire import CLOSE, TEXT
from .conftest import Mode, Target, target_of

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


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
    loggers = [logging.getLogger("triows.access"), logging.getLogger("triows.error")]
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
    errors = [record for record in caplog.records if record.name == "triows.error"]
    assert [str(record.exc_info[1]) for record in errors if record.exc_info] == ["a fault of the handler"] * 2


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
