"""The app that the behavioural tests talk to, in this process or in hypercorn's.

A handler tells what happened to it by records under the key of its query string; the test asks for them over HTTP,
which works on every transport alike.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import Any

import trio

from triows import (
    EventSourceResponse,
    Response,
    ServerSentEvent,
    Triows,
    WebSocket,
    WebSocketClosed,
    abort,
    g,
    request,
    websocket,
)

from .file_routes import add_file_routes
from .http_routes import add_routes
from .template_routes import add_template_routes
from .text_routes import add_text_routes


class Records:
    """What handlers said, by key. :meth:`wait` waits for a saying that starts with a word."""

    def __init__(self) -> None:
        self._said: dict[str, list[Any]] = defaultdict(list)
        self._news = trio.lowlevel.ParkingLot()

    def say(self, key: str, *what: Any) -> None:
        self._said[key].append(list(what))
        self._news.unpark_all()

    async def wait(self, key: str, word: str) -> list[Any]:
        while not (found := [what for what in self._said[key] if what[0] == word]):
            await self._news.park()
        return found[0]

    def all(self, key: str) -> list[Any]:
        return self._said[key]


LOGGERS = ("triows", __name__)  # the server's, and the app's own


class LogRecords(logging.Handler):
    """Keeps what is logged as warning or worse, for ``/log``."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def make_app(**limits: Any) -> Triows:
    app = Triows(__name__, **limits)
    records = Records()
    log = LogRecords()
    app.extensions["log"] = log  # the fixture attaches it
    events: dict[str, trio.Event] = defaultdict(trio.Event)

    def say(*what: Any) -> None:
        subject = websocket if websocket else request
        records.say(subject.args.get("key", ""), *what)

    def say_disconnect() -> None:
        end = websocket.disconnect
        say("disconnect", *((end.code, end.reason, end.kind) if end else (None, None, None)))

    @app.get("/records/<key>/<word>")
    async def wait_for_record(key: str, word: str) -> list[Any]:
        return await records.wait(key, word)

    @app.get("/records/<key>")
    async def all_records(key: str) -> list[Any]:
        return records.all(key)

    @app.get("/log")
    async def logged() -> list[str]:
        lines, log.lines = log.lines, []
        return lines

    @app.post("/events/<name>")
    async def set_event(name: str) -> str:
        events[name].set()
        return ""

    # Disconnects and closing

    @app.websocket("/echo")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    @app.websocket("/work")
    async def work() -> None:
        """Works for a while on each message, and says what it did and how it ended."""
        seconds = float(websocket.args.get("seconds", "0"))
        done = []
        try:
            while True:
                message = await websocket.receive()
                for _ in range(10):
                    await trio.sleep(seconds / 10)
                done.append(message)
        except trio.Cancelled as cancelled:
            say("done", *done)
            say("reason", cancelled.reason)
            say_disconnect()
            raise

    @app.websocket("/push")
    @app.websocket("/push-impatiently", drain_timeout=0.001)
    async def push() -> None:
        """Sends and never receives."""
        try:
            await websocket.send("hello")
            await trio.sleep_forever()
        finally:
            say_disconnect()

    @app.websocket("/sleep")
    async def sleep() -> None:
        await websocket.accept()
        say("asleep")
        try:
            await trio.sleep_forever()
        finally:
            say_disconnect()

    @app.websocket("/sleep-before-accept")
    async def sleep_before_accept() -> None:
        say("asleep")
        try:
            await trio.sleep_forever()
        finally:
            say_disconnect()

    @app.websocket("/children")
    async def children() -> None:
        """Two children in a nursery of its own, one in the connection's; all are cancelled."""

        async def child(name: str) -> None:
            try:
                await trio.sleep_forever()
            except trio.Cancelled as cancelled:
                say(name, cancelled.reason, websocket.disconnect.kind)
                raise

        await websocket.accept()
        websocket.nursery.start_soon(child, "outer")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child, "inner1")
            nursery.start_soon(child, "inner2")
            say("started")

    @app.websocket("/raise")
    async def raise_after_accept() -> None:
        await websocket.accept()
        await websocket.receive()
        raise ValueError("the handler's own error")

    @app.websocket("/generator-exit")
    async def generator_exit() -> None:
        await websocket.accept()
        raise GeneratorExit("the handler's own")

    @app.get("/generator-exit")
    async def generator_exit_in_a_request() -> str:
        raise GeneratorExit("the handler's own")

    @app.websocket("/child-raises")
    async def child_raises() -> None:
        async def child() -> None:
            await websocket.receive()
            raise LookupError("the child's own error")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
            nursery.start_soon(trio.sleep_forever)

    @app.websocket("/raise-in-finally")
    async def raise_in_finally() -> None:
        async def child() -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise RuntimeError("while being cancelled")

        await websocket.accept()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
            nursery.start_soon(trio.sleep_forever)
            say("started")

    @app.websocket("/return")
    async def return_at_once() -> None:
        await websocket.accept()
        await events[websocket.args["key"]].wait()

    @app.websocket("/swallow")
    async def swallow() -> None:
        say("asleep")
        try:
            await websocket.receive()
        except BaseException:  # the mistake under test
            pass

    @app.websocket("/swallow-in-a-loop")
    async def swallow_in_a_loop() -> None:
        while True:
            try:
                await websocket.receive()
            except BaseException:  # the mistake under test
                pass

    @app.websocket("/swallow-around-a-nursery")
    async def swallow_around_a_nursery() -> None:
        await websocket.accept()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                nursery.start_soon(trio.sleep_forever)
                say("asleep")
        except BaseException:  # the mistake under test
            pass

    @app.websocket("/cleanup")
    async def cleanup() -> None:
        """Cleans up as it should, in shields and with timeouts of its own: no swallowing."""
        try:
            await websocket.receive()
        finally:
            with trio.move_on_after(0.01, shield=True):
                await trio.sleep_forever()
            with trio.CancelScope(shield=True):
                await trio.sleep(0)
            say("cleaned")

    @app.websocket("/patience")
    async def patience() -> None:
        """Receives with a timeout that mostly runs out, until it has got the word."""
        got = []
        while not got or got[-1] != "end":
            with trio.move_on_after(0.001):
                got.append(await websocket.receive())
        await websocket.send_json(got)

    @app.websocket("/close")
    async def close() -> None:
        await websocket.accept()
        await websocket.close(4002, "done here")
        for call in (websocket.receive, lambda: websocket.send("late")):
            try:
                await call()
            except WebSocketClosed as error:
                say("closed", str(error))
        say("disconnect", websocket.disconnect)
        await websocket.receive()  # escapes: the normal end

    @app.websocket("/close-from-child")
    async def close_from_child() -> None:
        async def child() -> None:
            await websocket.close(4003, "child")

        await websocket.accept()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
            await websocket.receive()

    # Handshake

    @app.websocket("/accept")
    async def accept() -> None:
        accepting = websocket.accept({"X-Greeting": "hello"}, websocket.args.get("subprotocol"))
        if "await" in websocket.args:
            await accepting
        await websocket.accept()  # no-op
        try:
            await websocket.accept({"X-Other": "1"})
        except RuntimeError as error:
            say("again", str(error))
        await websocket.send(f"accepted {websocket.subprotocols}")

    @app.websocket("/reject/<how>")
    async def reject(how: str) -> Any:
        if how == "tuple":
            return "Who are you?", 401, {"WWW-Authenticate": "Basic"}
        if how == "response":
            return Response("teapot", 418)
        if how == "dict":
            return {"error": "nope"}, 402
        if how == "abort":
            abort(403, "go away")
        if how == "close":
            await websocket.close()
        if how == "raise":
            raise ValueError("before accepting")
        return None

    @app.websocket("/response-after-accept")
    async def response_after_accept() -> str:
        await websocket.accept()
        return "too late"

    @app.websocket("/json")
    async def json() -> None:
        while True:
            await websocket.send_json({"got": await websocket.receive_json()})

    @app.websocket("/json-caught")
    async def json_caught() -> None:
        try:
            await websocket.receive_json()
        except ValueError:
            await websocket.send("no JSON")

    @app.websocket("/types")
    async def types() -> None:
        async for message in websocket:
            await websocket.send(f"{type(message).__name__} {len(message)}")

    @app.websocket("/info/<int:number>")
    async def info(number: int, connection: WebSocket) -> None:
        g.number = number

        async def child() -> None:
            await websocket.send_json(
                {
                    "number": g.number,
                    "same": websocket.current() is connection,
                    "path": websocket.path,
                    "query": websocket.args["q"],
                    "cookie": websocket.cookies.get("c"),
                    "header": websocket.headers["X-Test"],
                    "scheme": websocket.scheme,
                    "host": websocket.host,
                    "url": websocket.url,
                    "endpoint": websocket.endpoint,
                    "view_args": websocket.view_args,
                    "user": websocket.authorization.username if websocket.authorization else None,
                }
            )

        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)

    @app.websocket("/limits", max_message_size=1000)
    async def limits_() -> None:
        try:
            while True:
                await websocket.send(str(len(await websocket.receive())))
        finally:
            say_disconnect()

    # Sending

    @app.websocket("/many-senders")
    async def many_senders() -> None:
        async def sender(number: int) -> None:
            await websocket.send(f"{number}:" + "x" * number)

        async with trio.open_nursery() as nursery:
            for number in range(1000):
                nursery.start_soon(sender, number)

    @app.websocket("/flood")
    async def flood() -> None:
        """Sends for ever, and says when send() has to wait."""
        sent = 0
        await websocket.accept()
        while True:
            with trio.move_on_after(0.05) as scope:
                await websocket.send(b"x" * 10_000)
                sent += 1
            if scope.cancelled_caught:
                say("full", sent)
                await websocket.receive()

    @app.websocket("/huge")
    async def huge() -> None:
        """A huge message whose sending is cancelled, then a small one."""
        with trio.move_on_after(0.05):
            await websocket.send(b"x" * 20_000_000)
        with trio.move_on_after(0.05):
            await websocket.send(b"y" * 20_000_000)
            say("sent twice")
        say("sending")
        await websocket.send("hello")

    @app.websocket("/two-receivers")
    async def two_receivers() -> None:
        async def receiver() -> None:
            try:
                await websocket.send(await websocket.receive())
            except trio.BusyResourceError as error:
                await websocket.send(str(error))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receiver)
            nursery.start_soon(receiver)

    @app.websocket("/deaf")
    async def deaf() -> None:
        """Receives nothing until it is told to, then everything."""
        await websocket.accept()
        await events[websocket.args["key"]].wait()
        count = 0
        while (await websocket.receive()) != "end":
            count += 1
        await websocket.send(str(count))

    # Messages in pieces, and Pings

    @app.websocket("/pieces")
    async def pieces() -> None:
        """Sends back each piece as a message, and says when a message has ended."""
        while True:
            kind = None
            async with websocket.receive_stream() as stream:
                async for piece in stream:
                    kind = type(piece).__name__
                    await websocket.send(piece)
            await websocket.send(f"end of {kind}")

    @app.websocket("/leave")
    async def leave() -> None:
        """Takes the first piece of a message, then leaves it, and receives the next one."""
        how = websocket.args["how"]
        while True:
            try:
                async with websocket.receive_stream() as stream:
                    async for piece in stream:
                        await websocket.send(piece)
                        if how == "break":
                            break
                        if how == "raise":
                            raise KeyError
                        with trio.move_on_after(0):
                            await trio.sleep_forever()
                        break
            except KeyError:
                pass
            await websocket.send(await websocket.receive())

    @app.websocket("/turns")
    async def turns() -> None:
        while True:
            async with websocket.receive_stream() as stream:
                await websocket.send("".join([str(piece) async for piece in stream]))
            await websocket.send(await websocket.receive())

    @app.websocket("/busy")
    async def busy() -> None:
        found = []

        async def enter() -> None:
            async with websocket.receive_stream():
                pass

        async with websocket.receive_stream():
            for call in (websocket.receive, enter):
                try:
                    await call()
                except trio.BusyResourceError as error:
                    found.append(type(error).__name__)
        await websocket.send_json(found)
        await websocket.receive()

    async def given(pieces: list[Any]) -> Any:
        for piece in pieces:
            yield piece

    @app.websocket("/send-pieces")
    async def send_pieces() -> None:
        while True:
            await websocket.send(given(await websocket.receive_json()))

    @app.websocket("/break-off")
    async def break_off() -> None:
        how = websocket.args["how"]

        async def failing() -> Any:
            yield "begun"
            if how == "mixed":
                yield b"bytes"
            if how == "raise":
                raise ValueError("no more pieces")
            await trio.sleep_forever()

        try:
            with trio.move_on_after(0.05):
                await websocket.send(failing())
        finally:
            say("closed", websocket.connection.closed)

    @app.websocket("/fail-before")
    async def fail_before() -> None:
        async def failing(error: Exception | None) -> Any:
            if error is not None:
                raise error
            await trio.sleep_forever()
            yield "never"

        try:
            await websocket.send(failing(ValueError()))
        except ValueError:
            pass
        try:
            await websocket.send(given([1]))
        except TypeError:
            pass
        with trio.move_on_after(0.01):
            await websocket.send(failing(None))
        await websocket.send(given([]))
        await websocket.send("fine")
        await websocket.receive()

    @app.websocket("/ping")
    async def ping() -> None:
        try:
            await websocket.send(f"{await websocket.ping() >= 0} {websocket.latency is not None}")
        except RuntimeError as error:
            await websocket.send(str(error))

    # HTTP

    @app.route("/both")
    async def both() -> str:
        return "http"

    @app.websocket("/both")
    async def both_ws() -> None:
        await websocket.send("websocket")

    @app.get("/only-http")
    async def only_http() -> str:
        return "http"

    @app.post("/body")
    async def body() -> dict[str, Any]:
        data = await request.get_data()
        return {"size": len(data), "head": data[:10].decode("latin-1")}

    @app.post("/upload")
    async def upload() -> str:
        size = 0
        async for piece in request.body:
            size += len(piece)
        return str(size)

    @app.get("/stream")
    async def stream() -> Any:
        async def pieces() -> Any:
            for number in range(3):
                yield f"{number}\n"

        return pieces(), 200, {"Content-Type": "text/plain"}

    @app.get("/stream-forever")
    async def stream_forever() -> Any:
        async def pieces() -> Any:
            try:
                while True:
                    yield "x" * 1000
                    await trio.sleep(0)
            finally:
                say("stream-ended", request.disconnect.kind if request.disconnect else None)

        return pieces()

    @app.get("/events")
    async def server_sent_events() -> EventSourceResponse:
        async def source() -> Any:
            try:
                yield ServerSentEvent("one", id="1")
                await trio.sleep_forever()
            finally:
                say("events-ended", request.disconnect.kind if request.disconnect else None)

        return EventSourceResponse(source())

    @app.get("/known-length")
    async def known_length() -> Any:
        """Goes on after its last byte, until it is told to end."""

        async def pieces() -> Any:
            how = "cut off"
            try:
                for _ in range(3):
                    yield b"x" * 100_000
                await events[request.args["key"]].wait()
                how = "done"
            finally:
                say("stream-ended", how, request.disconnect.kind if request.disconnect else None)

        return pieces(), 200, {"Content-Length": "300000"}

    @app.get("/poll")
    async def poll() -> str:
        say("polling")
        try:
            await trio.sleep_forever()
        except trio.Cancelled as cancelled:
            say("cancelled", cancelled.reason, request.disconnect.kind)
            raise

    @app.get("/sync")
    def sync() -> str:
        return f"sync {request.args['x']}"

    @app.get("/fail")
    async def fail() -> str:
        raise ValueError("no")

    add_routes(app)
    add_text_routes(app)
    add_template_routes(app, say)
    add_file_routes(app)
    return app
