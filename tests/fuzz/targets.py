"""The targets by name: the function that takes an input, and the words that inputs of its kind are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SEEDS = Path(__file__).parent / "seeds"

_HEADERS = (
    b"Host: a\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: Upgrade\r\n",
    b"Upgrade: websocket\r\n",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    b"Sec-WebSocket-Version: 13\r\n",
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n",
    b"Sec-WebSocket-Protocol: chat\r\n",
    b"Origin: http://a\r\n",
    b"Expect: 100-continue\r\n",
)
_HTTP = (
    *_HEADERS,
    b"GET / HTTP/1.1\r\n",
    b"POST /form HTTP/1.1\r\n",
    b"HEAD /ws HTTP/1.0\r\n",
    b"OPTIONS * ",
    b"http://a/",
    b"\r\n\r\n",
    b"\r\n",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b";a=b",
    b'="x"',
    b"Cookie: session=",
    b"Content-Type: application/json\r\n",
    b"Content-Type: application/x-www-form-urlencoded\r\n",
    b"Content-Type: multipart/form-data; boundary=b\r\n",
    b"Range: bytes=0-",
    b"X-Forwarded-For: ",
    b"Forwarded: for=",
    b"%2f",
    b"%00",
    b"/../",
)
_FRAMES = (
    b"\x81\x80\x00\x00\x00\x00",
    b"\x01\x81\x00\x00\x00\x00",
    b"\x80\x81\x00\x00\x00\x00",
    b"\x82\xfe\x00\x7e\x00\x00\x00\x00",
    b"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00",
    b"\x89\x80\x00\x00\x00\x00",
    b"\x8a\x80\x00\x00\x00\x00",
    b"\x88\x82\x00\x00\x00\x00\x03\xe8",
    b"\xc1\x87\x00\x00\x00\x00",
    b"\xf2\x48\xcd\xc9\xc9\x07\x00",
    b"\xed\xa0\x80",
    b"\xf4\x8f\xbf\xbf",
)
_OFFERS = (
    b"permessage-deflate",
    b"server_no_context_takeover",
    b"client_no_context_takeover",
    b"server_max_window_bits=",
    b"client_max_window_bits",
    b'"10"',
    b"; ",
    b", ",
)
_FORMS = (
    b"--boundary\r\n",
    b"--boundary--",
    b"\r\n--boundary",
    b'Content-Disposition: form-data; name="a"\r\n\r\n',
    b'; filename="f"',
    b"filename*=utf-8''",
    b"Content-Type: text/plain; charset=utf-16\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"&a=b",
    b"%e2%82%ac",
    b"+",
)
_FORWARDED = (
    b"Forwarded: for=",
    b"X-Forwarded-For: ",
    b"X-Forwarded-Proto: https",
    b"X-Forwarded-Host: ",
    b"X-Forwarded-Port: ",
    b"X-Forwarded-Prefix: /",
    b"Origin: http://",
    b"proto=https",
    b"host=",
    b'"[::1]:80"',
    b"unknown",
    b"_hidden",
    b"192.0.2.1",
    b"10.0.0.2",
    b", ",
    b";",
    b"\r\n",
)


@dataclass(frozen=True)
class Target:
    """What is fuzzed: ``load()`` gives the function, and imports what it is of no sooner."""

    load: Callable[[], Callable[[bytes], None]]
    words: tuple[bytes, ...]
    max_size: int


def _protocol() -> Callable[[bytes], None]:
    from . import protocol

    return protocol.run


def _http() -> Callable[[bytes], None]:
    from . import http

    return http.run


def _app() -> Callable[[bytes], None]:
    from . import app

    return app.run


def _handshake() -> Callable[[bytes], None]:
    from . import parsers

    return parsers.run_handshake


def _deflate() -> Callable[[bytes], None]:
    from . import parsers

    return parsers.run_deflate


def _forms() -> Callable[[bytes], None]:
    from . import parsers

    return parsers.run_forms


def _forwarded() -> Callable[[bytes], None]:
    from . import parsers

    return parsers.run_forwarded


TARGETS = {
    "protocol": Target(_protocol, _FRAMES, 4096),
    "http": Target(_http, (*_HTTP, *_FRAMES), 4096),
    "app": Target(_app, (*_HTTP, *_FORMS), 4096),
    "handshake": Target(_handshake, (*_HEADERS, *_OFFERS), 2048),
    "deflate": Target(_deflate, (b"\x00\x00\x00\xff\xff", b"\x03\x00", b"\x4b\x04\x00"), 2048),
    "forwarded": Target(_forwarded, _FORWARDED, 1024),
    "forms": Target(_forms, _FORMS, 4096),
}


def seeds(name: str) -> list[Path]:
    """The inputs that a target is given first."""
    return sorted((SEEDS / name).iterdir())
