"""The server's side of the soak: ``python -m tests.soak.app``.

What it notes goes to its standard output, as lines of JSON: ``{"ledger": {...}}`` at the end of each websocket,
``{"log": {...}}`` for each record from WARNING on. The line with the address comes before them. Where books are kept
there are also ``{"access": {...}}`` for each record of the access log, ``{"visit": ...}`` at the end of each HTTP
handler, ``{"found": ...}`` for a context that was another handler's, ``{"late": ...}`` with how late the event loop
was, and ``{"stats": {...}}`` at the very end.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import logging
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import trio

from triows import Triows, request, websocket
from triows.server.http1 import HTTP1Connection
from triows.server.links import reactor

from . import day_app, timed_app
from .lateness import watch_lateness
from .ledger import ServerSide, filling, make_message
from .notes import AccessNotes, LogNotes, Note, Notes, ProvokedError

MIB = 1 << 20
LARGEST = 2 * MIB
# Seconds. What the clients provoke comes soon, but not so soon that a slow machine is taken for a slow client; what
# must not come has all the time there is.
STALLED_AFTER = 10.0
HEAD_TIMEOUT = 8.0
_NEVER = 300.0

LIMITS: dict[str, Any] = {
    "max_message_size": LARGEST + 200,
    "head_timeout": HEAD_TIMEOUT,
    "ping_interval": 2,
    "ping_timeout": _NEVER,
    "send_timeout": _NEVER,
    "drain_timeout": _NEVER,
    "close_timeout": _NEVER,
    "stall_timeout": None,
}


def make_app(note: Note, limits: dict[str, Any] = LIMITS, *, books: bool = False) -> Triows:
    """``note`` takes what the handlers have to say."""
    app = Triows(__name__, **limits)
    notes = Notes(note, books=books)
    ledger, visit = notes.ledger, notes.visit

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
        with visit():
            return request.args.get("say", "")

    @app.post("/upload")
    async def upload() -> dict[str, object]:
        with visit():
            digest, size = hashlib.sha256(), 0
            async for piece in request.body:
                digest.update(piece)
                size += len(piece)
            return {"size": size, "digest": digest.hexdigest()}

    @app.get("/download")
    async def download() -> Any:
        count = int(request.args["count"])

        async def lines() -> AsyncIterator[str]:
            with visit():
                for number in range(count):
                    yield f"{number:0999}\n"

        return lines()

    @app.get("/raise")
    async def raise_() -> str:
        with visit():
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


def make_day(note: Note) -> Triows:
    """The app of a public server's day."""
    app = make_app(note, LIMITS | day_app.LIMITS, books=True)
    day_app.add(app, Notes(note, books=True))
    keep_books(app, note)
    return app


def make_timed(note: Note) -> Triows:
    """The app whose timeouts are short."""
    app = make_app(note, LIMITS | timed_app.LIMITS, books=True)
    timed_app.add(app, Notes(note, books=True))
    keep_books(app, note)
    return app


def keep_books(app: Triows, note: Note) -> None:
    """Note how late the event loop is, and at the end what the app has counted."""

    @app.lifespan
    async def serving() -> AsyncIterator[None]:
        app.nursery.start_soon(watch_lateness, lambda late: note({"late": late}))
        yield
        note({"stats": app.stats().as_dict()})


PLANS: dict[str, Callable[[Note], Triows]] = {"mixed": make_app, "day": make_day, "timed": make_timed}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.app")
    parser.add_argument("--certificate", help="serve TLS with this file, certificate and key")
    parser.add_argument("--tasks", action="store_true", help="two tasks a connection instead of the reactor")
    parser.add_argument("--plan", choices=PLANS, default="mixed", help="which app")
    parser.add_argument("--fd", type=int, help="a socket that listens already")
    options = parser.parse_args()
    reactor.AVAILABLE = reactor.AVAILABLE and not options.tasks

    def note(what: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()

    logging.basicConfig(level=logging.WARNING, handlers=[LogNotes(note)])
    if options.plan != "mixed":
        access_log = logging.getLogger("triows.access")
        access_log.setLevel(logging.INFO)
        access_log.propagate = False
        access_log.addHandler(AccessNotes(note))
    context = None
    if options.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.certificate)

    filling()
    fds = [] if options.fd is None else [options.fd]
    PLANS[options.plan](note).run("127.0.0.1", 0, ssl_context=context, fds=fds)


if __name__ == "__main__":
    main()
