"""The server's side of the soak: ``python -m tests.soak.app``.

What it notes goes to its standard output, as lines of JSON: ``{"ledger": {...}}`` at the end of each websocket,
``{"log": {...}}`` for each record from WARNING on. The line with the address comes before them.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import logging
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import trio

from triows import Triows, request, websocket
from triows.server import reactor
from triows.server.http1 import HTTP1Connection

from .ledger import Reading, ServerSide, make_message

MIB = 1 << 20
LARGEST = 2 * MIB
# Seconds. What the clients provoke comes soon, but not so soon that a slow machine is taken for a slow client; what
# must not come has all the time there is.
STALLED_AFTER = 10.0
HEAD_TIMEOUT = 8.0
_NEVER = 300.0

Note = Callable[[dict[str, Any]], None]


class ProvokedError(Exception):
    """What a handler raises because its client wants it to."""


def make_app(note: Note) -> Triows:
    """``note`` takes what the handlers have to say."""
    app = Triows(
        __name__,
        max_message_size=LARGEST + 200,
        head_timeout=HEAD_TIMEOUT,
        ping_interval=2,
        ping_timeout=_NEVER,
        send_timeout=_NEVER,
        drain_timeout=_NEVER,
        close_timeout=_NEVER,
        stall_timeout=None,
    )

    @contextmanager
    def ledger() -> Iterator[tuple[ServerSide, Reading]]:
        name = websocket.args["connection"]
        side, reading = ServerSide(name), Reading(name)
        try:
            yield side, reading
        finally:
            side.received, side.faults = reading.count, reading.faults + side.faults
            end = websocket.disconnect
            side.disconnect = (end.code, end.kind) if end else None
            note({"ledger": side.as_json()})

    async def send(side: ServerSide, size: int, *, text: bool = False) -> None:
        await websocket.send(make_message(side.connection, side.sent, size, text=text))
        side.sent += 1

    @app.websocket("/echo")
    @app.websocket("/deflated", compression=True)
    async def echo() -> None:
        with ledger() as (side, reading):
            async for message in websocket:
                reading.read(message)
                await send(side, len(message) // 2, text=isinstance(message, str))

    @app.websocket("/slow", receive_buffer=1000, send_buffer=1000)
    async def slow() -> None:
        """Works on each message, and gives up waiting now and then, in both directions."""
        random = Random(websocket.args["connection"])
        with ledger() as (side, reading):
            while True:
                with trio.move_on_after(random.choice([0.0005, 0.005, 0.05])) as scope:
                    message = await websocket.receive()
                if scope.cancelled_caught:
                    continue
                reading.read(message)
                await trio.sleep(random.random() / 500)
                sent = False
                while not sent:
                    with trio.move_on_after(random.choice([0, 0.0001, 1])) as scope:
                        await websocket.send(make_message(side.connection, side.sent, 100, text=False))
                    sent = not scope.cancelled_caught
                side.sent += 1

    @app.websocket("/push")
    @app.websocket("/push-impatiently", send_timeout=STALLED_AFTER)
    async def push() -> None:
        """Sends as many messages as the client asks for, and closes."""
        with ledger() as (side, _):
            await websocket.accept()
            for _ in range(int(websocket.args["count"])):
                await send(side, int(websocket.args["size"]))
            await websocket.close(int(websocket.args["code"]), "that was all")

    @app.websocket("/both")
    async def both() -> None:
        """Two children: one sends by itself, the other one receives."""
        with ledger() as (side, reading):

            async def tick() -> None:
                while True:
                    await send(side, 20)
                    await trio.sleep(0.005)

            async def listen() -> None:
                async for message in websocket:
                    reading.read(message)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(tick)
                nursery.start_soon(listen)

    @app.websocket("/pieces")
    @app.websocket("/deflated-pieces", compression=True)
    async def pieces() -> None:
        """Both ways in pieces."""
        with ledger() as (side, reading):
            while True:
                received: list[Any] = []
                async with websocket.receive_stream() as stream:
                    async for piece in stream:
                        received.append(piece)
                message = type(received[0])().join(received) if received else b""
                reading.read(message)
                answer = make_message(side.connection, side.sent, len(message) // 2, text=False)

                async def parts(whole: Any = answer) -> AsyncIterator[bytes]:
                    for start in range(0, len(whole), 10_000):
                        yield whole[start : start + 10_000]

                await websocket.send(parts())
                side.sent += 1

    @app.websocket("/json")
    async def echo_json() -> None:
        with ledger() as (side, reading):
            while True:
                reading.read((await websocket.receive_json())["message"])
                await websocket.send_json(message=make_message(side.connection, side.sent, 10, text=True))
                side.sent += 1

    @app.websocket("/raises")
    async def raises() -> None:
        """Answers so many messages, and then a child of its raises."""
        with ledger() as (side, reading):
            await websocket.accept()
            for _ in range(int(websocket.args["count"])):
                reading.read(await websocket.receive())
                await send(side, 10)
            websocket.nursery.start_soon(provoke)
            await trio.sleep_forever()

    async def provoke() -> None:
        raise ProvokedError("on a websocket")

    @app.websocket("/swallows")
    async def swallows() -> None:
        with ledger() as (side, reading):
            try:
                async for message in websocket:
                    reading.read(message)
                    await send(side, 10)
            except trio.Cancelled:
                return  # wrong, on purpose

    @app.websocket("/refused")
    async def refused() -> tuple[str, int]:
        return "not you", 403

    # HTTP

    @app.get("/")
    async def index() -> str:
        return request.args.get("say", "")

    @app.post("/upload")
    async def upload() -> dict[str, object]:
        digest, size = hashlib.sha256(), 0
        async for piece in request.body:
            digest.update(piece)
            size += len(piece)
        return {"size": size, "digest": digest.hexdigest()}

    @app.get("/download")
    async def download() -> Any:
        count = int(request.args["count"])

        async def lines() -> AsyncIterator[str]:
            for number in range(count):
                yield f"{number:0999}\n"

        return lines()

    @app.get("/raise")
    async def raise_() -> str:
        raise ProvokedError("in a request")

    @app.get("/vitals")
    async def vitals() -> dict[str, int]:
        """What there is in this process while nothing but this request is served."""
        gc.collect()
        objects = gc.get_objects()
        return {
            "tasks": trio.lowlevel.current_statistics().tasks_living,
            "connections": sum(isinstance(one, HTTP1Connection) for one in objects),
            "objects": len(objects),
        }

    return app


class LogNotes(logging.Handler):
    """Notes each record from WARNING on."""

    def __init__(self, note: Note) -> None:
        super().__init__(logging.WARNING)
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._note({"log": {"level": record.levelname, "text": self.format(record), "error": type(error).__name__}})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.app")
    parser.add_argument("--certificate", help="serve TLS with this file, certificate and key")
    parser.add_argument("--tasks", action="store_true", help="two tasks a connection instead of the reactor")
    options = parser.parse_args()
    reactor.AVAILABLE = reactor.AVAILABLE and not options.tasks

    def note(what: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()

    logging.basicConfig(level=logging.WARNING, handlers=[LogNotes(note)])
    context = None
    if options.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.certificate)

    make_app(note).run("127.0.0.1", 0, ssl_context=context)


if __name__ == "__main__":
    main()
