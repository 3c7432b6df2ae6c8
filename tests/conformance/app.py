"""The server that the conformance suite talks to: it echoes what it gets, whole messages as whole messages."""

from __future__ import annotations

from triows import Compression, Triows, websocket

# Some cases send 16 MiB. Every message is compressed, also the short ones: the suite takes no other answer to them.
app = Triows(__name__, max_message_size=32 * 1024 * 1024, compression=Compression(min_size=0))


@app.websocket("/")
async def echo() -> None:
    async for message in websocket:
        await websocket.send(message)
