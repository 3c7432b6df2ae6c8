"""Upload: each message is a file, written to the disk as it arrives, however large it is.

Run it::

    triows run examples/upload/app.py:app

and try it: open http://127.0.0.1:8000/ in a browser and choose a file, or use a terminal::

    python examples/upload/client.py README.md
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile

import trio

from triows import Triows, websocket

MAX_SIZE = 4 * 1024**3  # bytes of a file
PAGE = Path(__file__).with_name("index.html")

app = Triows(__name__)


@app.get("/")
def index() -> str:
    return PAGE.read_text("utf-8")


@app.websocket("/ws", max_message_size=MAX_SIZE)
async def ws() -> None:
    while True:
        async with websocket.receive_stream() as pieces:
            size, digest = 0, sha256()
            # The file has no name and is gone when it is closed; a real app would keep it.
            async with trio.wrap_file(await trio.to_thread.run_sync(TemporaryFile)) as file:
                async for piece in pieces:
                    data = piece.encode() if isinstance(piece, str) else piece
                    digest.update(data)
                    size += await file.write(data)
        await websocket.send_json({"size": size, "sha256": digest.hexdigest()})


if __name__ == "__main__":
    app.run()
