"""Routes that give subclasses of str and bytes, and text beyond ASCII, wherever an app may give text."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Iterator
from typing import Any

from triows import Response, Triows, abort, redirect, request, websocket

BEYOND_LATIN_1 = "naïve €"


class Kind(str, enum.Enum):  # noqa: UP042 - whose str() is not its text
    PING = "ping"
    SOUP = "soup"
    HEADER = "X-Kind"
    STATUS = "418 I'M A TEAPOT"
    MIMETYPE = "application/x-kind"
    PLACE = "/place"


class Sealed(bytes):
    def __bytes__(self) -> bytes:
        return b"sealed"


def add_text_routes(app: Triows) -> None:
    @app.websocket("/kinds", subprotocols=[Kind.SOUP])
    async def kinds() -> None:
        await websocket.accept({Kind.HEADER: Kind.PING}, Kind.SOUP if "ask" in websocket.args else None)
        await websocket.send(Kind.PING)
        await websocket.send(Sealed(b"\x00"))

        async def texts() -> AsyncIterator[str]:
            yield Kind.PING
            yield Kind.PING

        async def bytes_() -> AsyncIterator[bytes]:
            yield Sealed(b"\x00")
            yield bytearray(b"\x01")

        await websocket.send(texts())
        await websocket.send(bytes_())
        await websocket.send_json({Kind.PING: Kind.PING})
        await websocket.close(3000, Kind.PING)

    @app.websocket("/kinds/rejected")
    async def rejected() -> Any:
        return Kind.PING, Kind.STATUS, {Kind.HEADER: Kind.PING}

    @app.get("/kinds/<how>")
    async def responses(how: str) -> Any:
        match how:
            case "returned":
                return Kind.PING, Kind.STATUS, {Kind.HEADER: Kind.PING}
            case "bytes":
                return Sealed(b"ping")
            case "made":
                return Response(Kind.PING, Kind.STATUS, {Kind.HEADER: Kind.PING}, mimetype=Kind.MIMETYPE)
            case "list":
                return Response([Kind.PING, Sealed(b"ping")])
            case "pieces":

                async def pieces() -> AsyncIterator[Any]:
                    yield Kind.PING
                    yield Sealed(b"ping")

                return pieces()
            case "thread":

                def iterator() -> Iterator[Any]:
                    yield Kind.PING
                    yield Sealed(b"ping")

                return iterator()
            case "cookie":
                response = Response("")
                response.set_cookie("kind", Kind.PING)
                return response
            case "aborted":
                abort(403, Kind.PING)
            case "redirect":
                return redirect(Kind.PLACE)
        raise AssertionError(how)

    @app.websocket("/beyond-latin-1")
    async def beyond_latin_1() -> Any:
        if "reject" in websocket.args:
            return "", 403, {"X-Name": BEYOND_LATIN_1}
        websocket.accept({"X-Name": BEYOND_LATIN_1})
        return None

    @app.get("/beyond-latin-1")
    async def response_beyond_latin_1() -> Any:
        if "redirect" in request.args:
            return redirect(f"/{BEYOND_LATIN_1}")
        body = iter(["a", "b"]) if "streamed" in request.args else "ab"
        return Response(body, headers={"X-Name": BEYOND_LATIN_1, "X-Latin": "naïve"})
