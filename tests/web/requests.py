"""Requests that no client has sent."""

from __future__ import annotations

import trio

from triows import Request
from triows.protocol.head import Head
from triows.web.clientless import ClientlessConnection


class PiecewiseConnection(ClientlessConnection):
    """Hands out its body in pieces, with a checkpoint before each."""

    def __init__(self, head: Head, pieces: list[bytes]) -> None:
        super().__init__(head, b"")
        self.pieces = pieces

    async def receive_body(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return self.pieces.pop(0) if self.pieces else b""


def make_request(
    *pieces: bytes, content_type: str | None = None, length: int | None = None, target: str = "/", scheme: str = "http"
) -> Request:
    path, _, query = target.partition("?")
    headers = [(b"host", b"example.com"), (b"x-name", b"one"), (b"cookie", b"a=1; b=2")]
    if content_type is not None:
        headers.append((b"content-type", content_type.encode()))
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    head = Head(
        "POST", path.encode(), query.encode("latin-1"), headers, "1.1", scheme, root_path="/root", client=("1.2.3.4", 5)
    )
    return Request(PiecewiseConnection(head, list(pieces)))
