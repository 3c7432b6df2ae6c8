"""Serving an app: by itself, inside a Trio program, and by an ASGI server."""

import ssl
from collections.abc import Awaitable, Callable
from typing import Any, assert_type

import trio

from triows import BackgroundNursery, Server, Triows

app = Triows(__name__)


def run() -> None:
    assert_type(app.run("127.0.0.1", 8000, access_log=False), None)
    assert_type(app.run("::1", 80, True, True, None, "ca.pem", "cert.pem", "key.pem"), None)
    app.run(loop=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    app.run(8000)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def in_a_nursery() -> None:
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(app.serve, "127.0.0.1", 0)
        assert_type(server.port, int)
        assert_type(server.addresses, list[tuple[str, int] | str])
        assert_type(server.connections, int)
        assert_type(server.shutdown(), None)
        server.stop()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        server.port = 80  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
        nursery.start_soon(app.serve, "127.0.0.1", 0)
        nursery.start_soon(app.serve, 0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def as_in_quart(stop: trio.Event) -> None:
    assert_type(await app.run_task("127.0.0.1", 0, debug=True, shutdown_trigger=stop.wait), None)
    await app.run_task(shutdown_trigger=stop)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@app.shell_context_processor
def names() -> dict[str, int]:
    return {"answer": 42}


assert_type(names(), dict[str, int])
assert_type(app.make_shell_context(), dict[str, Any])


async def by_call(task_status: trio.TaskStatus[Server]) -> None:
    assert_type(await app.serve(None, 0, ssl_context=ssl.create_default_context(), task_status=task_status), None)
    assert_type(await app.serve_listeners([], task_status=task_status), None)
    await app.serve(task_status=trio.TASK_STATUS_IGNORED)
    await app.serve(port="8000")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await app.serve(ssl_context=True)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def streams(stream: trio.abc.Stream, listeners: list[trio.SocketListener]) -> None:
    assert_type(await app.serve_stream(stream), None)
    await app.serve_listeners(listeners)
    await app.serve_listeners(stream)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await app.serve_stream(listeners)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def in_the_background() -> None:
    async with app.serving() as value:
        assert_type(value, None)
        assert_type(app.nursery, BackgroundNursery)
        assert_type(app.nursery.start_soon(trio.sleep, 1), None)
        started: int = await app.nursery.start(waiter)
        assert_type(app.nursery.cancel_scope, trio.CancelScope)
        assert_type(app.nursery.child_tasks, frozenset[trio.lowlevel.Task])
        assert_type(app.add_background_task(print, "text", end=""), None)
        app.nursery.start_soon(waiter())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        app.nursery.start_soon(print)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert_type(started, int)
        app.add_background_task("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def waiter(task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
    task_status.started(1)


def an_asgi_application(scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    called: Awaitable[None] = app(scope, receive, send)
    middleware: Callable[..., Awaitable[None]] = app.asgi_app
    app.asgi_app = middleware
    app.asgi_app = called  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
