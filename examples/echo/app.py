"""Echo: every message comes back as it was sent, text as text and bytes as bytes.

Run it::

    triows run examples/echo/app.py:app

and try it: open http://127.0.0.1:8000/ in a browser, or use a terminal::

    python examples/echo/client.py hello world
"""

from __future__ import annotations

from pathlib import Path

from triows import Triows, websocket

PAGE = Path(__file__).with_name("index.html")

app = Triows(__name__)


@app.get("/")
def index() -> str:
    return PAGE.read_text("utf-8")  # not an async function: it runs in a worker thread


@app.websocket("/ws")
async def ws() -> None:
    async for message in websocket:
        await websocket.send(message)


if __name__ == "__main__":
    app.run()
