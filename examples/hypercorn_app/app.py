"""Hypercorn: an app under an ASGI server, on its Trio worker.

Install it with ``pip install 'triows[hypercorn]'``. Run it from the root of the repository, or beside this file::

    hypercorn -k trio examples.hypercorn_app.app:app
    cd examples/hypercorn_app && hypercorn -k trio app:app

and try it: open http://127.0.0.1:8000/ in several windows. Each says how many of them are open right now, and which
version of HTTP carries it. ``triows run examples/hypercorn_app/app.py:app`` runs the same app without an ASGI server.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

from triows import Triows, websocket

PAGE = Path(__file__).with_name("index.html")

app = Triows(__name__)


class Windows:
    """How many windows are open, and an event that is set when that changes."""

    def __init__(self) -> None:
        self.open = 0
        self.changed = trio.Event()

    @contextmanager
    def one_more(self) -> Iterator[None]:
        self._change(+1)
        try:
            yield
        finally:
            self._change(-1)

    def _change(self, by: int) -> None:
        self.open += by
        self.changed.set()
        self.changed = trio.Event()


windows = Windows()


@app.get("/")
def index() -> str:
    return PAGE.read_text("utf-8")


@app.websocket("/ws")
async def ws() -> None:
    carrier = f"HTTP/{websocket.http_version}"
    with windows.one_more():
        while True:
            changed = windows.changed  # taken before sending, so that no change falls in between
            await websocket.send_json(open=windows.open, carrier=carrier)
            await changed.wait()


if __name__ == "__main__":
    app.run()
