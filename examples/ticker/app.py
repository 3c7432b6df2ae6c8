"""Ticker: two loops that know nothing of each other, one sending and one receiving, in the handler's nursery.

The server ticks. What the client sends meanwhile sets the pace: the seconds from one tick to the next.

Run it::

    triows run examples/ticker/app.py:app

and try it: open http://127.0.0.1:8000/ in a browser, change the pace, and close the tab. The server prints why the
client is gone, with the close code that it gave: the disconnect cancels both loops, wherever they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import Path

import trio

from triows import Triows, websocket

PAGE = Path(__file__).with_name("index.html")
FASTEST, SLOWEST = 0.1, 10.0  # seconds

app = Triows(__name__)


@dataclass
class Pace:
    """What the two loops of one connection share."""

    seconds: float = 1.0


@app.get("/")
def index() -> str:
    return PAGE.read_text("utf-8")


@app.websocket("/ws")
async def ws() -> None:
    pace = Pace()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sending, pace)
        nursery.start_soon(receiving, pace)


async def sending(pace: Pace) -> None:
    for number in count(1):
        await websocket.send(f"tick {number}")
        await trio.sleep(pace.seconds)


async def receiving(pace: Pace) -> None:
    try:
        async for message in websocket:
            try:
                seconds = float(message)
            except ValueError:
                await websocket.send(f"{message!r:.40} is no number of seconds")
            else:
                # The comparison refuses NaN too.
                pace.seconds = min(seconds, SLOWEST) if seconds >= FASTEST else FASTEST
    except trio.Cancelled:
        print("gone:", websocket.disconnect)
        raise


if __name__ == "__main__":
    app.run()
