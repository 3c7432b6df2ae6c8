"""Requests as bytes, and their responses."""

from __future__ import annotations

from .wire import Response, Wire

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def get(path: str = "/", *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: localhost", *headers]).encode("latin-1") + b"\r\n\r\n"


def post(path: str, body: bytes, *headers: str) -> bytes:
    return get(path, f"Content-Length: {len(body)}", *headers, method="POST") + body


async def ask(wire: Wire, data: bytes = GET) -> Response:
    await wire.send(data)
    return await wire.read_response(has_body=not data.startswith(b"HEAD"))
