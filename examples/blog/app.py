"""Blog: posts in a SQLite database, which is used in threads, and a command that makes the database.

Run it, with Jinja installed by ``pip install 'triows[templates]'``. The first command makes ``blog.db``, in the
directory where it is run::

    python examples/blog/app.py init-db
    triows run examples/blog/app.py:app

and try it: open http://127.0.0.1:8000/ in a browser and write a post.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import trio

from triows import Triows, current_app, redirect, render_template, request, url_for

SCHEMA = Path(__file__).parent / "schema.sql"

app = Triows(__name__)
app.config["DATABASE"] = "blog.db"


@contextmanager
def database() -> Iterator[sqlite3.Connection]:
    """A connection for one thread, whose changes are committed, or after an error rolled back."""
    connection = sqlite3.connect(current_app.config["DATABASE"])
    connection.row_factory = sqlite3.Row
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def read_posts() -> list[sqlite3.Row]:
    with database() as db:
        return db.execute("SELECT title, text FROM post ORDER BY id DESC").fetchall()


def add_post(title: str, text: str) -> None:
    with database() as db:
        db.execute("INSERT INTO post (title, text) VALUES (?, ?)", (title, text))


@app.cli.command("init-db", with_appcontext=True)
def init_db() -> None:
    """Make the database anew, without posts."""
    with database() as db:
        db.executescript(SCHEMA.read_text("utf-8"))
    click.echo(f"{Path(app.config['DATABASE']).resolve()} is ready")


@app.get("/")
async def posts() -> str:
    # SQLite waits for the disk and for locks, so it waits in a thread, and all other requests go on.
    return await render_template("posts.html", posts=await trio.to_thread.run_sync(read_posts))


@app.get("/create/")
async def new() -> str:
    return await render_template("create.html")


@app.post("/create/")
async def create() -> Any:
    form = await request.form
    await trio.to_thread.run_sync(add_post, form["title"], form["text"])  # a form without one of them is answered 400
    return redirect(url_for("posts"), 303)


if __name__ == "__main__":
    app.cli()
