"""Login: passwords, sessions that the server keeps, and websockets that end with the logout.

Run it::

    triows run examples/login/app.py:app

and try it: open http://127.0.0.1:8000/ in two windows, log in as ada with the password "lovelace", and log out in one
of the windows: the other one's websocket is closed too.

``docs/login.rst`` goes through it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any

import trio
from werkzeug.security import check_password_hash

from triows import (
    MemorySessionStore,
    Response,
    ServerSideSessions,
    Triows,
    abort,
    redirect,
    request,
    send_file,
    session,
    websocket,
)

LOGGED_OUT = 4001  # the Close code of websockets whose user has logged out
MAX_PASSWORD = 1024  # characters

app = Triows(__name__, max_body_size=4096)
app.session_interface = ServerSideSessions(MemorySessionStore())
app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
app.csrf_protect()  # no page of another origin logs anybody in or out
folder = Path(__file__).parent
hashing = trio.CapacityLimiter(2)  # passwords at a time, of 32 MiB and some 0.3 s of a processor each


# What generate_password_hash(password, "scrypt:32768:8:3") of werkzeug.security has returned; a database has these.
USERS = {
    "ada": (
        "scrypt:32768:8:3$NeAsHoNNvyI2q2x8$eb90e2681750671f0b329d2abe780a5d7e788329d3f5dd8ac64df09b"
        "bdd207617d12f74743ffa7e98f707aff3b6ae4f7844f826f0a9cdaa0d05686bc2dda69e3"
    ),
    "grace": (
        "scrypt:32768:8:3$glWEXWY5tZvKndoU$f32163890d379d2335c5050ce572a2f3d3965e0e9c3bfca700cb62e7"
        "9d9a60e0460d73a0f23b6588fe4728b9d1ad653ca2cc4686a3db477a45c6747db7fd68c3"
    ),
}
# Of a password that nobody knows: an unknown name takes as long as a known one.
NOBODY = (
    "scrypt:32768:8:3$5tgVNwKLhCqhgizl$d50083e556a201ff6fc7533a29f73b3a34bc919482b5a3cf9ead05df"
    "41c35ea84007b7eddaea377f8645212d7672bb454b3bdee0bb90dbb5f5189e7bbe4de896"
)


async def is_member(name: str, password: str) -> bool:
    """Whether there is such a member; it takes as long if there is none of this name."""
    hashed = USERS.get(name, NOBODY)
    right = await trio.to_thread.run_sync(check_password_hash, hashed, password, limiter=hashing)
    return right and name in USERS


def login_required(handler: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Answer 401 in place of a view, or of a websocket's handler, if nobody is logged in."""

    @wraps(handler)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        if "user" not in session:
            abort(401, "Log in first.")
        return await handler(*args, **kwargs)

    return guarded


@app.get("/")
async def index() -> Response:
    return await send_file(folder / ("members.html" if "user" in session else "login.html"), cache_timeout=0)


@app.post("/login")
async def login() -> Any:
    form = await request.form
    name, password = form["name"], form["password"]
    if len(password) > MAX_PASSWORD:
        abort(400, "That is no password.")
    if not await is_member(name, password):
        return "The name or the password is wrong.", 403
    session.clear()  # another id, and nothing of whoever was logged in before
    session["user"] = name
    return redirect("/", 303)


@app.post("/logout")
@login_required
async def logout() -> Response:
    name = session["user"]
    session.clear()
    app.disconnect(lambda _: session.get("user") == name, LOGGED_OUT, "logged out")  # it asks each websocket's session
    return redirect("/", 303)


@app.get("/me")
@login_required
async def me() -> dict[str, str]:
    return {"name": session["user"]}


@app.websocket("/ws")
@login_required
async def ws() -> None:
    name = session["user"]
    await websocket.send(f"Hello, {name}!")
    async for message in websocket:
        await websocket.send(f"{name}: {message!s}")


if __name__ == "__main__":
    app.run()
