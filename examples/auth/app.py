"""Auth: a handshake without credentials is answered with 401, one with them is accepted.

Either a name with its password (Basic) or a token (Bearer) will do.

Run it::

    triows run examples/auth/app.py:app

and try it, as a stranger, with a password, and with a token::

    python examples/auth/client.py
    python examples/auth/client.py --user ada --password lovelace
    python examples/auth/client.py --token let-me-in

In earnest the passwords would be kept hashed, and the connection would be encrypted: ``--certfile`` and ``--keyfile``.
"""

from __future__ import annotations

from hmac import compare_digest

from werkzeug.datastructures import Authorization

from triows import Triows, websocket

PASSWORDS = {"ada": "lovelace", "grace": "hopper"}
TOKENS = {"let-me-in": "the robot"}
CHALLENGES = {"WWW-Authenticate": 'Basic realm="triows", charset="UTF-8", Bearer realm="triows"'}

app = Triows(__name__)


def identify(authorization: Authorization | None) -> str | None:
    """Return the name of whoever the credentials belong to, None if they are missing or wrong."""
    if authorization is None:
        return None
    if authorization.type == "basic":
        name = authorization.username or ""
        return name if _same(PASSWORDS.get(name), authorization.password) else None
    if authorization.type == "bearer":
        return next((name for token, name in TOKENS.items() if _same(token, authorization.token)), None)
    return None


def _same(secret: str | None, given: str | None) -> bool:
    """Compare in a time that does not tell how much of it was right."""
    right = compare_digest((secret or "").encode(), (given or "").encode(errors="replace"))
    return right and secret is not None


@app.websocket("/ws")
async def ws() -> tuple[str, int, dict[str, str]] | None:
    name = identify(websocket.authorization)
    if name is None:
        return "Who are you?", 401, CHALLENGES  # the handshake is refused by an HTTP response
    await websocket.send(f"Hello, {name}!")
    async for message in websocket:
        await websocket.send(f"{name}: {message!s}")
    return None


if __name__ == "__main__":
    app.run()
