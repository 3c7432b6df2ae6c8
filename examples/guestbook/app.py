"""Guestbook: pages from templates, a form, and messages for the next page.

Run it, with Jinja installed by ``pip install 'triows[templates]'``::

    triows run examples/guestbook/app.py:app

and try it: open http://127.0.0.1:8000/ in a browser and write something.
"""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from triows import Triows, flash, redirect, render_template, request, url_for

MAX_ENTRIES = 100
MAX_NAME, MAX_TEXT = 40, 500  # characters

app = Triows(__name__, max_body_size=65536)
app.secret_key = secrets.token_hex()  # the messages of before a restart are lost with it

entries: deque[Entry] = deque(maxlen=MAX_ENTRIES)


@dataclass
class Entry:
    name: str
    text: str
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


@app.template_filter()
def clock(at: datetime) -> str:
    return f"{at:%H:%M}"


@app.context_processor
async def limits() -> dict[str, int]:
    return {"max_name": MAX_NAME, "max_text": MAX_TEXT}


@app.get("/")
async def index() -> str:
    return await render_template("index.html", entries=reversed(entries))


@app.post("/")
async def write() -> Any:
    form = await request.form
    name, text = form.get("name", "").strip(), form.get("text", "").strip()
    if not 0 < len(name) <= MAX_NAME or not 0 < len(text) <= MAX_TEXT:
        await flash("Please give a name and a text, neither of them too long.", "error")
    else:
        entries.append(Entry(name, text))
        await flash(f"Thank you, {name}!")
    return redirect(url_for("index"), 303)


if __name__ == "__main__":
    app.run()
