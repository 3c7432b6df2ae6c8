"""The app that clients of other makes talk to, served by ``triows run`` and by ``hypercorn -k trio``."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import trio

from triows import Triows, WebSocket, request, websocket

app = Triows(__name__)


class Room:
    """Everybody here is told what anybody here says."""

    def __init__(self) -> None:
        self._queues: set[trio.MemorySendChannel[str]] = set()

    @contextmanager
    def joined(self) -> Iterator[trio.MemoryReceiveChannel[str]]:
        queue, messages = trio.open_memory_channel[str](100)
        with queue, messages:
            self._queues.add(queue)
            try:
                yield messages
            finally:
                self._queues.remove(queue)

    def tell(self, text: str) -> None:
        for queue in self._queues:
            queue.send_nowait(text)


rooms: defaultdict[str, Room] = defaultdict(Room)
endings: defaultdict[str, list[Any]] = defaultdict(list)  # the disconnects that handlers saw, by the client's key
ended: defaultdict[str, trio.Event] = defaultdict(trio.Event)


# Websockets


@app.websocket("/echo")
async def echo() -> None:
    async for message in websocket:
        await websocket.send(message)


@app.websocket("/greeting", close_timeout=0.1)
async def greeting() -> None:
    """Say hello and close; do not wait long for a client that knows nothing of closing."""
    await websocket.send("hello")


@app.websocket("/chat", subprotocols=("chat.v2", "chat.v1"))
async def chat() -> None:
    await websocket.send(f"offered {', '.join(websocket.subprotocols)}")


@app.websocket("/headers")
async def headers(connection: WebSocket) -> None:
    await connection.send_json({"test": connection.headers.get("X-Test"), "query": connection.args.get("q")})


@app.websocket("/secret")
async def secret() -> Any:
    user = websocket.authorization
    if user is None or (user.username, user.password) != ("ada", "lovelace"):
        return "Who are you?\n", 401, {"WWW-Authenticate": 'Basic realm="secret"'}
    await websocket.send(f"hello {user.username}")
    return None


@app.websocket("/close")
async def close() -> None:
    """Close with the code and reason of the query string."""
    await websocket.accept()
    await websocket.close(int(websocket.args["code"]), websocket.args.get("reason", ""))


@app.websocket("/fail")
async def fail() -> None:
    await websocket.receive()
    raise ValueError("asked for by a test")


@app.websocket("/tell-ending/<key>")
async def tell_ending(key: str) -> None:
    """Wait for the client to go; ``/endings/<key>`` then says how it went."""
    try:
        async for _ in websocket:
            pass
    finally:
        end = websocket.disconnect
        endings[key] = [end.code, end.reason, end.kind] if end is not None else []
        ended[key].set()


@app.websocket("/rooms/<name>")
async def room(name: str) -> None:
    """Tell everybody in the room what anybody says."""
    with rooms[name].joined() as messages:
        await websocket.send("welcome")
        websocket.nursery.start_soon(_deliver, messages)
        async for message in websocket:
            rooms[name].tell(str(message))


async def _deliver(messages: trio.MemoryReceiveChannel[str]) -> None:
    async for message in messages:
        await websocket.send(message)


# HTTP


@app.get("/")
async def index() -> str:
    return "hello\n"


@app.get("/endings/<key>")
async def ending(key: str) -> list[Any]:
    await ended[key].wait()
    return endings[key]


@app.post("/upload")
async def upload() -> dict[str, Any]:
    """Read the body as it comes and say what it was."""
    size = 0
    digest = hashlib.sha256()
    async for piece in request.body:
        size += len(piece)
        digest.update(piece)
    return {
        "size": size,
        "sha256": digest.hexdigest(),
        "length": request.headers.get("Content-Length"),
        "expect": request.headers.get("Expect"),
    }


@app.post("/refuse")
async def refuse() -> tuple[str, int]:
    """Answer without a look at the body."""
    return "no, thank you\n", 403


@app.post("/form")
async def form() -> dict[str, Any]:
    files = await request.files
    return {
        "fields": (await request.form).to_dict(),
        "files": {name: [file.filename, len(file.read())] for name, file in files.items()},
    }


@app.get("/stream")
async def stream() -> AsyncIterator[str]:
    async def numbers() -> AsyncIterator[str]:
        for number in range(1000):
            yield f"{number}\n"
            await trio.lowlevel.checkpoint()

    return numbers()


@app.get("/version")
async def version() -> str:
    return request.http_version
