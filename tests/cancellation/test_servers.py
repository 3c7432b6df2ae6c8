"""What is around connections, cancelled at each point: the server, an ASGI server's task, the app's own life."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from triows import Triows
from triows.testing.streams import memory_stream_pair

from .operations import OPERATIONS, Operation, Turn, talk
from .peers import ASGIPeer, WirePeer
from .points import MAX_POINTS, Point, cancel
from .stages import living
from .test_disconnects import make_app


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_serve_stream_is_cancelled_at_each_point_of_its_handler(
    operation: Operation, warnings: list[logging.LogRecord]
) -> None:
    """That is an orderly shutdown: what was sent arrives, the client gets Close 1001, and the handler the reason."""
    turns: list[Turn] = []
    app = make_app(turns)
    for number in range(MAX_POINTS):
        tasks = living()
        serving = trio.CancelScope()
        turn = Turn(operation, Point(number, lambda _, scope=serving: scope.cancel()))  # type: ignore[misc]
        turns.append(turn)
        mine, its = memory_stream_pair()
        peer = WirePeer(mine)
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_serve_stream, app, its, serving)
                nursery.start_soon(peer.run)
                await talk(peer, turn)
                if not turn.point.reached:
                    await peer.send_close(1000, "")
        await settled(tasks)
        try:
            check_shutdown(turn, peer)
            assert warnings == []
        except AssertionError as error:
            error.add_note(f"at point {number} of {operation.name}")
            raise
        if not turn.point.reached:
            break


async def _serve_stream(app: Triows, stream: trio.abc.Stream, scope: trio.CancelScope) -> None:
    with scope:
        await app.serve_stream(stream, access_log=False)


def check_shutdown(turn: Turn, peer: WirePeer) -> None:
    assert turn.point.error is None
    assert peer.torn == b""
    if peer.status != 101:
        assert peer.status == 503  # the shutdown came before the handshake was answered
    elif turn.point.reached and not turn.operation.may_close and turn.operation.close == (1000, ""):
        assert peer.close == (1001, "")
        assert peer.received == turn.sent
        ((reason, disconnect),) = turn.cancellations
        assert reason == "websocket disconnected: 1001 going away"
        assert disconnect.kind == "shutdown"


@pytest.mark.parametrize(
    "operation", [entry for entry in OPERATIONS if not entry.native], ids=lambda operation: operation.name
)
async def test_an_asgi_server_cancels_the_app_at_each_point_of_its_handler(
    operation: Operation, warnings: list[logging.LogRecord]
) -> None:
    turns: list[Turn] = []
    app = make_app(turns)
    for number in range(MAX_POINTS):
        peer = ASGIPeer(app)
        turn = Turn(operation, Point(number, lambda _, scope=peer.scope: scope.cancel()))  # type: ignore[misc]
        turns.append(turn)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.run)
            with trio.fail_after(60):
                await talk(peer, turn)
                if not turn.point.reached:
                    await peer.send_close(1000, "")
                await peer.ended.wait()
        assert turn.point.error is None, f"point {number}"
        assert warnings == [], f"point {number}"
        if not turn.point.reached:
            break
        if peer.status == 101:
            assert peer.close in ((1001, ""), (1011, "a message was broken off"), operation.close), f"point {number}"
        assert peer.received == turn.sent[: len(peer.received)], f"point {number}"


async def settled(tasks: int) -> None:
    """Wait until no more tasks live than these."""
    with trio.fail_after(20):
        while living() > tasks:
            await wait_all_tasks_blocked()


# The app's own life


class Life:
    """What an app started and stopped."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.log: list[str] = []
        self.point = Point(-1, cancel)


def living_app(life: Life, inside: str) -> Triows:
    """An app whose function of that name contains the point."""
    app = Triows("tested")

    async def pause(name: str) -> None:
        async def steps() -> None:
            for _ in range(3):
                await trio.lowlevel.checkpoint()

        await (life.point.drive(steps()) if name == inside else steps())

    @app.before_serving
    async def before() -> None:
        await pause("before_serving")
        life.log.append("before")

    @app.lifespan
    async def lifespan() -> AsyncIterator[None]:
        await pause("enter")
        life.open.append("lifespan")
        try:
            yield
        finally:
            await pause("leave")
            life.open.remove("lifespan")

    @app.while_serving
    async def background() -> AsyncIterator[None]:
        app.add_background_task(trio.sleep_forever)
        yield

    @app.after_serving
    async def after() -> None:
        await pause("after_serving")
        life.log.append("after")

    return app


@pytest.mark.parametrize("inside", ["user", "before_serving", "enter", "leave", "after_serving"])
async def test_serving_is_cancelled_at_each_point(inside: str, warnings: list[logging.LogRecord]) -> None:
    """What was started is stopped, the shutdown functions run to their end, and the app can be served again."""
    life = Life()
    app = living_app(life, inside)

    async def live() -> None:
        async with app.serving():
            await trio.lowlevel.checkpoint()

    for number in range(1, MAX_POINTS):
        tasks = living()
        life.log.clear()
        scope = trio.CancelScope()
        life.point = point = Point(number, lambda _, scope=scope: scope.cancel())  # type: ignore[misc]
        with scope, trio.fail_after(60):
            await (point.drive(live()) if inside == "user" else live())
        await settled(tasks)
        assert life.open == [], f"point {number}"
        assert ("after" in life.log) <= ("before" in life.log), f"point {number}"
        if inside in ("leave", "after_serving"):
            assert life.log == ["before", "after"], f"point {number}"
        with pytest.raises(RuntimeError, match="only available while the app serves"):
            app.nursery  # noqa: B018
        if not point.reached:
            break
    assert life.log == ["before", "after"]
    assert warnings == []


@pytest.mark.parametrize("inside", ["user", "before_serving", "enter", "leave", "after_serving"])
async def test_an_asgi_lifespan_is_cancelled_at_each_point(inside: str, warnings: list[logging.LogRecord]) -> None:
    life = Life()
    app = living_app(life, inside)
    for number in range(1, MAX_POINTS):
        tasks = living()
        life.log.clear()
        sent: list[str] = []
        await _run_lifespan(app, life, number, driven=inside == "user", sent=sent)
        await settled(tasks)
        assert life.open == [], f"point {number}"
        assert ("after" in life.log) <= ("before" in life.log), f"point {number}"
        assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"][: len(sent)], f"point {number}"
        if not life.point.reached:
            break
    assert len(sent) == 2
    assert warnings == []


async def _run_lifespan(app: Triows, life: Life, number: int, *, driven: bool, sent: list[str]) -> None:
    """One life under an ASGI server, which cancels it at the point."""
    scope = trio.CancelScope()
    life.point = Point(number, lambda point: scope.cancel())
    give, events = trio.open_memory_channel[dict[str, Any]](2)
    give.send_nowait({"type": "lifespan.startup"})
    give.send_nowait({"type": "lifespan.shutdown"})

    async def send(event: Any) -> None:
        await trio.lowlevel.checkpoint()
        sent.append(event["type"])

    run: Callable[[], Awaitable[None]] = lambda: app({"type": "lifespan", "asgi": {}}, events.receive, send)  # noqa: E731
    with give, events, scope, trio.fail_after(60):
        await (life.point.drive(run()) if driven else run())  # type: ignore[arg-type]
