"""Events: a page that shows what others write, as server-sent events, and misses nothing while it connects again.

Run it::

    triows run examples/events/app.py:app

and try it: open http://127.0.0.1:8000/ in two windows and write into one; or watch the bytes, and write from a second
terminal::

    curl -N http://127.0.0.1:8000/events
    curl http://127.0.0.1:8000/notes -d text=hello

Stop the server and start it again: the pages connect again by themselves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import trio

from triows import EventSourceResponse, Response, ServerSentEvent, Triows, request, send_file

MAX_TEXT = 500  # characters
RETRY = 1000  # milliseconds until a page connects again

app = Triows(__name__, max_body_size=4096)
page = Path(__file__).with_name("index.html")


class Feed:
    """The last notes, and everybody who waits for the next."""

    def __init__(self) -> None:
        self.notes: deque[tuple[int, str]] = deque(maxlen=100)
        self.count = 0
        self._changed = trio.Event()

    def add(self, text: str) -> None:
        self.count += 1
        self.notes.append((self.count, text))
        self._changed.set()
        self._changed = trio.Event()

    async def after(self, number: int) -> AsyncGenerator[tuple[int, str], None]:
        """Yield the notes after a number, and each that comes."""
        while True:
            changed = self._changed
            for found, text in [note for note in self.notes if note[0] > number]:
                number = found
                yield found, text
            await changed.wait()


feed = Feed()


@app.get("/")
async def index() -> Response:
    return await send_file(page)


@app.post("/notes")
async def write() -> tuple[str, int]:
    text = (await request.form)["text"].strip()
    if not 0 < len(text) <= MAX_TEXT:
        return f"A note has 1 to {MAX_TEXT} characters.", 400
    feed.add(text)
    return "", 204


@app.get("/events")
async def events() -> EventSourceResponse:
    last = request.last_event_id or ""
    # After a restart of the server the numbers begin anew: a later one than the last is of the time before.
    seen = int(last) if last.isdecimal() and len(last) < 10 and int(last) <= feed.count else 0
    return EventSourceResponse(notes_after(seen))


async def notes_after(number: int) -> AsyncGenerator[ServerSentEvent, None]:
    yield ServerSentEvent(retry=RETRY)
    async with aclosing(feed.after(number)) as notes:
        async for found, text in notes:
            yield ServerSentEvent({"text": text}, event="note", id=str(found))


if __name__ == "__main__":
    app.run()
