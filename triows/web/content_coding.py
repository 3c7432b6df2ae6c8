"""Compression of HTTP responses: content codings (RFC 9110, section 8.4), chosen by Accept-Encoding (12.5.3).

A response is left as it is if

- it has no content, is a part of one (206), has a coding already, has a digest, or says ``no-transform``;
- its mimetype is none of those that compress well, or it is small;
- it may hold a secret beside what somebody else wrote: the length of the compressed response would tell the secret, a
  character at a time (BREACH, https://breachattack.com). What is sent to a visitor who is known, by a Cookie or an
  Authorization header, may; and so may what sets a cookie. A file does not, since nothing of the request is in it.

What is left as it is for one of the last two reasons, or as the client takes no coding, varies with Accept-Encoding all
the same.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterable
from typing import Any, Protocol, cast

import trio

from ..connection.checks import names, size, split_at_commas
from ..protocol.content import has_content
from ..protocol.headers import Headers
from .headers import add_vary
from .outgoing import Outgoing, ResponseSink
from .request import Request
from .response import Response

_THREAD_SIZE = 32768  # bytes: from here on gzip takes a millisecond, several times as long as the switch of threads
_NOT_MODIFIED = 304
_PARTIAL = 206

MIMETYPES: tuple[str, ...] = (
    "text/*",
    "application/javascript",
    "application/json",
    "application/manifest+json",
    "application/wasm",
    "application/xml",
    "application/*+json",
    "application/*+xml",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/svg+xml",
)
"""What compresses well, and is not compressed already. ``*`` stands for anything but an event stream."""


class Encoder(Protocol):
    """One response's compressor."""

    def encode(self, data: bytes) -> bytes:
        """Return what there is of ``data`` by now, which may be nothing."""
        ...

    def flush(self) -> bytes:
        """Return the rest of what was encoded, so that the client can read all of it."""
        ...

    def finish(self) -> bytes:
        """Return the rest, and the end."""
        ...


class _Gzip:
    def __init__(self, level: int) -> None:
        self._compressor = zlib.compressobj(level, zlib.DEFLATED, 16 + zlib.MAX_WBITS)

    def encode(self, data: bytes) -> bytes:
        return self._compressor.compress(data)

    def flush(self) -> bytes:
        return self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._compressor.flush()


class _Zstd:
    def __init__(self, level: int) -> None:
        self._compressor = _zstd().ZstdCompressor(level)

    def encode(self, data: bytes) -> bytes:
        return cast(bytes, self._compressor.compress(data))

    def flush(self) -> bytes:
        return cast(bytes, self._compressor.flush(self._compressor.FLUSH_BLOCK))

    def finish(self) -> bytes:
        return cast(bytes, self._compressor.flush())


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def _has_zstd() -> bool:
    try:
        _zstd()
    except ImportError:
        return False
    return True


# Headers of what is encoded already, or of which another coding would make a lie.
_ABOUT_THE_BYTES = ("Content-Encoding", "Content-Range", "Content-Digest", "Repr-Digest", "Content-MD5", "Digest")

_ENCODERS: dict[str, Callable[[int], Encoder]] = {"zstd": _Zstd, "gzip": _Gzip}


class ContentCoding:
    """Compresses the responses of an app, for clients that take it.

    The parameters are those of :meth:`triows.Triows.compress`.
    """

    def __init__(
        self,
        *,
        codings: Iterable[str] | None = None,
        mimetypes: Iterable[str] | None = None,
        min_size: int = 1024,
        gzip_level: int = 4,
        zstd_level: int = 3,
    ) -> None:
        self.min_size: int = size("min_size", min_size, least=0)
        self.levels: dict[str, int] = {
            "gzip": _level("gzip_level", gzip_level, 9),
            "zstd": _level("zstd_level", zstd_level, 19),
        }
        self.codings: tuple[str, ...] = _codings(codings)
        self._mimetypes = names("mimetypes", split_at_commas(MIMETYPES if mimetypes is None else mimetypes), "text/*")
        for mimetype in self._mimetypes:
            if "/" not in mimetype:
                raise ValueError(f"mimetypes holds {mimetype!r}; a mimetype is like 'text/html', or 'text/*'")

    async def apply(self, request: Request, response: Response, outgoing: Outgoing, *, beside_secrets: bool) -> None:
        """Compress a response, if it can be and the client takes it.

        :param beside_secrets: whether what may hold a secret is compressed too.
        """
        status = response.status_code
        if status != _NOT_MODIFIED and (not has_content("GET", status) or status == _PARTIAL):
            return
        if not self._compresses(response.mimetype) or not _may_be_changed(response):
            return
        add_vary(outgoing.headers, b"Accept-Encoding")
        coding = self._choose(request)
        if coding is None:
            return
        if status == _NOT_MODIFIED:
            # It stands for a response that may have been compressed, and a weak ETag fits that one and the plain one.
            outgoing.headers = _weakened(outgoing.headers)
            return
        if _size(response, outgoing) < self.min_size:
            return
        if not (beside_secrets or response.is_file) and _may_hold_secret(request, response):
            return
        encoder = _ENCODERS[coding](self.levels[coding])
        if outgoing.body is None:
            outgoing.sink = _EncodedBody(outgoing.sink, encoder, flushes=not response.is_file)
        else:
            encoded = await _in_thread(lambda data: encoder.encode(data) + encoder.finish(), outgoing.body)
            if len(encoded) >= len(outgoing.body):
                return
            outgoing.body = encoded
        dropped = (b"content-length", b"accept-ranges")  # of the response without the coding
        outgoing.headers = [line for line in _weakened(outgoing.headers) if line[0] not in dropped]
        outgoing.headers.append((b"content-encoding", coding.encode("ascii")))

    def _compresses(self, mimetype: str | None) -> bool:
        if mimetype is None:
            return False
        return mimetype in self._mimetypes or (
            mimetype != "text/event-stream" and any(_fits(mimetype, pattern) for pattern in self._mimetypes)
        )

    def _choose(self, request: Request) -> str | None:
        """The coding that the client likes best; None if it takes none, or the response as it is before all."""
        accepted = request.accept_encodings
        best = max(self.codings, key=accepted.quality)  # the first of several
        plain = accepted.quality("identity") if "identity" in accepted.values() else 0
        return best if accepted.quality(best) > plain else None


class _EncodedBody:
    """Compresses a streamed body on its way.

    :param flushes: whether the client can read each piece when it has got it.
    """

    def __init__(self, sink: ResponseSink, encoder: Encoder, *, flushes: bool) -> None:
        self._sink = sink
        self._encoder = encoder
        self._flushes = flushes

    def until_shutdown(self, scope: trio.CancelScope) -> None:
        self._sink.until_shutdown(scope)

    async def send_body(self, data: bytes) -> None:
        encoded = await _in_thread(self._encode, data)
        if encoded:
            await self._sink.send_body(encoded)

    def _encode(self, data: bytes) -> bytes:
        encoded = self._encoder.encode(data)
        return encoded + self._encoder.flush() if self._flushes else encoded

    async def end_response(self) -> None:
        await self._sink.send_body(self._encoder.finish())
        await self._sink.end_response()


async def _in_thread(function: Callable[[bytes], bytes], data: bytes) -> bytes:
    """Call ``function(data)``, in a thread if it takes long. Cancelled, it waits for the thread."""
    if len(data) < _THREAD_SIZE:
        return function(data)
    return await trio.to_thread.run_sync(function, data)


def _fits(mimetype: str, pattern: str) -> bool:
    start, star, end = pattern.partition("*")
    return bool(star) and mimetype.startswith(start) and mimetype.endswith(end)


def _may_be_changed(response: Response) -> bool:
    headers = response.headers
    if any(name in headers for name in _ABOUT_THE_BYTES):
        return False
    return "Cache-Control" not in headers or not response.cache_control.no_transform


def _size(response: Response, outgoing: Outgoing) -> float:
    if outgoing.body is not None:
        return len(outgoing.body)
    length = response.content_length
    return float("inf") if length is None else length


def _may_hold_secret(request: Request, response: Response) -> bool:
    return any(name in (b"cookie", b"authorization") for name, _ in request.head.headers) or (
        "Set-Cookie" in response.headers
    )


def _weakened(headers: Headers) -> Headers:
    """The headers with a weak ETag: the bytes differ from those that a strong one names (RFC 9110, section 8.8.1)."""
    return [
        (name, b"W/" + value) if name == b"etag" and not value.startswith(b"W/") else (name, value)
        for name, value in headers
    ]


def _codings(value: Iterable[str] | None) -> tuple[str, ...]:
    if value is None:
        return ("zstd", "gzip") if _has_zstd() else ("gzip",)
    codings = names("codings", split_at_commas(value), "gzip")
    for coding in codings:
        if coding not in _ENCODERS:
            raise ValueError(f"codings holds {coding!r}; it may hold 'zstd' and 'gzip'")
    if not codings:
        raise ValueError("codings is empty, so that nothing would be compressed; None stands for all")
    if "zstd" in codings and not _has_zstd():
        raise RuntimeError("zstd needs Python 3.14, or a package: pip install 'triows[zstd]'")
    return codings


def _level(name: str, value: int, most: int) -> int:
    level = size(name, value)
    if level > most:
        raise ValueError(f"{name} is {value}; it must be from 1 to {most}")
    return level
