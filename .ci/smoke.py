"""A small app, for a trial of what was installed: as a program it tests itself, without pytest."""

from __future__ import annotations

import trio

from triows import Triows, websocket

app = Triows(__name__)


@app.get("/")
async def index() -> str:
    return "hello"


@app.websocket("/echo")
async def echo() -> None:
    async for message in websocket:
        await websocket.send(message)


async def main() -> None:
    """Ask the app, in memory."""
    client = app.test_client()
    response = await client.get("/")
    assert (response.status_code, await response.get_data(as_text=True)) == (200, "hello")
    async with client.websocket("/echo") as talk:
        await talk.send("to and fro")
        assert await talk.receive() == "to and fro"


if __name__ == "__main__":
    trio.run(main)
