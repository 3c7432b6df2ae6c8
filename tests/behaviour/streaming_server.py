"""A server in a process of its own, whose memory is looked at from outside."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from functools import partial

import trio

from triows import Triows, websocket

app = Triows(__name__, max_message_size=1 << 34, compression=sys.argv[1] == "1")


@app.websocket("/mirror")
async def mirror() -> None:
    async for message in websocket:
        await websocket.send(message)


@app.websocket("/limited", max_message_size=1 << 20)
async def limited() -> None:
    await websocket.receive()


@app.websocket("/deaf", max_message_size=1 << 20)
async def deaf() -> None:
    await websocket.accept()
    await trio.sleep_forever()


@app.websocket("/take")
async def take() -> None:
    size = 0
    async with websocket.receive_stream() as pieces:
        async for piece in pieces:
            size += len(piece)
    await websocket.send(str(size))


async def zeros(mib: int) -> AsyncIterator[bytes]:
    for _ in range(mib * 16):
        yield bytes(65536)


@app.websocket("/give")
async def give() -> None:
    await websocket.send(zeros(int(websocket.args["mib"])))


@app.websocket("/echo")
async def echo() -> None:
    async with websocket.receive_stream() as pieces:
        await websocket.send(pieces)


async def main() -> None:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(app.serve, "127.0.0.1", 0, access_log=False))
        print(server.port, flush=True)


trio.run(main)
