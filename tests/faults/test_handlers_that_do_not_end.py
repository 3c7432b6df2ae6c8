"""Handlers that are not done when the time for a shutdown is over, and do not mind being cancelled.

Tests triows/tasks/shields.py.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import Triows, request, websocket

from ..support.http import GET
from ..support.served import served


async def shut_down(app: Triows, path: str | None = "/ws") -> float:
    """Shut a server of the app down under one client; returns how long that took."""
    async with served(app) as target:
        wire = target.connect()
        if path is None:
            await wire.send(GET)
        else:
            await wire.handshake(path)
        await wait_all_tasks_blocked()
        start = trio.current_time()
        target.server.shutdown()
        await wire.read_rest()
        await wire.stream.aclose()
    return trio.current_time() - start


def websocket_app(handler: Callable[[], Awaitable[None]]) -> Triows:
    app = Triows(__name__, shutdown_timeout=7)
    app.add_websocket("/ws", "ws", handler)
    return app


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_shield_is_opened_when_the_time_is_over(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def stubborn() -> None:
        await websocket.accept()
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()

    assert await shut_down(websocket_app(stubborn)) == pytest.approx(7, abs=0.5)
    line = stubborn.__code__.co_firstlineno
    assert errors(caplog) == [
        f"{stubborn.__qualname__}() ({__file__}:{line}) has not ended within shutdown_timeout, 7.0 seconds; "
        "ending it by force"
    ]


async def test_a_handler_that_ends_in_time_keeps_its_shield(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    ended = False

    async def careful() -> None:
        nonlocal ended
        try:
            await websocket.receive()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(6.9)
            ended = True

    assert await shut_down(websocket_app(careful)) == pytest.approx(6.9, abs=0.1)
    assert ended
    assert errors(caplog) == []


async def test_a_handler_that_minds_its_cancellation_is_cut_without_a_word(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    app = Triows(__name__, shutdown_timeout=7)
    kinds = []

    @app.route("/")
    async def slow() -> str:
        try:
            await trio.sleep_forever()
        finally:
            assert request.disconnect is not None
            kinds.append(request.disconnect.kind)

    assert await shut_down(app, None) == pytest.approx(7, abs=0.1)
    assert kinds == ["shutdown"]
    assert errors(caplog) == []


async def test_shields_of_children_are_opened_too(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    ended = []

    async def child(depth: int) -> None:
        try:
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as nursery:
                    if depth:
                        nursery.start_soon(child, depth - 1)
                    await trio.sleep_forever()
        finally:
            ended.append(depth)

    async def handler() -> None:
        await websocket.accept()
        websocket.nursery.start_soon(child, 2)

    assert await shut_down(websocket_app(handler)) == pytest.approx(7, abs=0.5)
    assert sorted(ended) == [0, 1, 2]
    assert len(errors(caplog)) == 1


async def test_a_shield_that_is_raised_again_is_opened_again(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def clinging() -> None:
        await websocket.accept()
        try:
            with trio.CancelScope(shield=True):
                await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep_forever()

    assert await shut_down(websocket_app(clinging)) == pytest.approx(7, abs=0.8)
    assert len(errors(caplog)) == 1


async def test_a_request_behind_a_shield_is_ended_too(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    app = Triows(__name__, shutdown_timeout=7)

    @app.route("/")
    async def stubborn() -> str:
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()
        return ""

    assert await shut_down(app, None) == pytest.approx(7, abs=0.5)
    assert "stubborn" in errors(caplog)[0]


async def test_a_streamed_response_behind_a_shield_is_ended_too(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    app = Triows(__name__, shutdown_timeout=7)

    @app.route("/")
    async def stream() -> AsyncIterator[bytes]:
        yield b"begun"
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()

    assert await shut_down(app, None) == pytest.approx(7, abs=0.5)
    assert "stream" in errors(caplog)[0]


async def test_a_hook_before_the_handler_is_named_by_what_was_asked_for(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    app = Triows(__name__, shutdown_timeout=7)

    @app.before_request
    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()

    assert await shut_down(app, None) == pytest.approx(7, abs=0.5)
    assert errors(caplog)[0].startswith("request for b'/' has not ended")


async def test_a_handler_that_swallows_for_ever_ends_as_well(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    app = Triows(__name__, shutdown_timeout=7)

    @app.route("/")
    async def swallowing() -> str:
        while True:
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                pass

    assert await shut_down(app, None) == pytest.approx(8, abs=1)
    assert len(errors(caplog)) == 1


async def test_teardown_hooks_have_their_own_time(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    ended = False

    async def handler() -> None:
        await websocket.accept()
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()

    app = websocket_app(handler)

    @app.teardown_websocket
    async def give_back(error: BaseException | None) -> None:
        nonlocal ended
        await trio.sleep(4)
        with trio.CancelScope(shield=True):
            await trio.sleep(0.5)
        ended = True

    assert await shut_down(app) == pytest.approx(11.75, abs=0.5)
    assert ended
    assert len(errors(caplog)) == 1


async def test_a_teardown_hook_that_does_not_end_is_forced_when_its_time_is_over(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    app = Triows(__name__, shutdown_timeout=7)

    @app.route("/")
    async def handler() -> str:
        await trio.sleep_forever()
        return ""

    @app.teardown_request
    async def stubborn(error: BaseException | None) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()

    assert await shut_down(app, None) == pytest.approx(12, abs=0.5)
    assert [message.partition(" ")[0] for message in errors(caplog)] == ["request"]


async def test_everybody_is_named_once(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    async def stubborn() -> None:
        await websocket.accept()
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()

    async def patient() -> None:
        await websocket.receive()

    app = websocket_app(stubborn)
    app.add_websocket("/patient", "patient", patient)
    async with served(app) as target:
        wires = [target.connect() for _ in range(4)]
        for wire, path in zip(wires, ("/ws", "/ws", "/patient", "/patient"), strict=True):
            await wire.handshake(path)
        target.server.shutdown()
        for wire in wires:
            await wire.read_rest()
            await wire.stream.aclose()
    assert len(errors(caplog)) == 2


async def test_without_a_shutdown_timeout_nobody_is_forced(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def slow() -> None:
        await websocket.accept()
        with trio.CancelScope(shield=True):
            await trio.sleep(1000)

    app = Triows(__name__, shutdown_timeout=None)
    app.add_websocket("/ws", "ws", slow)
    assert await shut_down(app) == pytest.approx(1000, abs=1)
    assert errors(caplog) == []


async def test_a_handler_that_nothing_ends_is_for_the_last_resort(autojump_clock: MockClock) -> None:
    released = threading.Event()

    async def handler() -> None:
        await websocket.accept()
        await trio.to_thread.run_sync(released.wait, 30)

    called_after: list[float] = []
    async with served(websocket_app(handler)) as target:
        wire = target.connect()
        await wire.handshake("/ws")
        start = trio.current_time()

        def last_resort() -> None:
            released.set()
            called_after.append(trio.current_time() - start)

        target.server.last_resort = last_resort
        target.server.shutdown()
        await wire.read_rest()
        await wire.stream.aclose()
    assert called_after[0] == pytest.approx(7.75, abs=0.1)
