"""Quart-Compress: responses in gzip and Brotli."""

from __future__ import annotations

import gzip
from typing import Any

import brotli
import pytest
from quart import Quart
from quart_compress import Compress

pytestmark = pytest.mark.extensions

LARGE = "text " * 500


@pytest.fixture
def app() -> Quart:
    app = Quart(__name__)
    Compress(app)

    @app.get("/large")
    async def large() -> str:
        return LARGE

    @app.get("/small")
    async def small() -> str:
        return "text"

    @app.get("/json")
    async def json() -> Any:
        return [LARGE]

    @app.get("/image")
    async def image() -> Any:
        return LARGE, {"Content-Type": "image/png"}

    @app.get("/stream")
    async def stream() -> Any:
        async def pieces() -> Any:
            for piece in LARGE.split(" "):
                yield piece

        return pieces(), {"Content-Type": "text/html"}

    return app


async def get(app: Quart, path: str, accepted: str = "gzip, br") -> tuple[str | None, bytes]:
    response = await app.test_client().get(path, headers={"Accept-Encoding": accepted})
    body = await response.get_data()
    assert response.content_length in (None, len(body))
    return response.headers.get("Content-Encoding"), body


async def test_a_large_page_is_compressed(app: Quart) -> None:
    encoding, body = await get(app, "/large")
    assert (encoding, gzip.decompress(body)) == ("gzip", LARGE.encode())
    response = await app.test_client().get("/large", headers={"Accept-Encoding": "gzip"})
    assert "Accept-Encoding" in response.vary


async def test_json_and_streams_are_compressed(app: Quart) -> None:
    encoding, body = await get(app, "/json")
    assert (encoding, LARGE.encode() in gzip.decompress(body)) == ("gzip", True)
    encoding, body = await get(app, "/stream")
    assert (encoding, gzip.decompress(body)) == ("gzip", LARGE.replace(" ", "").encode())


async def test_what_is_small_or_no_text_or_not_asked_for_is_not(app: Quart) -> None:
    assert await get(app, "/small") == (None, b"text")
    assert await get(app, "/image") == (None, LARGE.encode())
    assert await get(app, "/large", "identity") == (None, LARGE.encode())


async def test_the_algorithm_may_be_brotli(app: Quart) -> None:
    app.config["COMPRESS_ALGORITHM"] = "br"
    encoding, body = await get(app, "/large")
    assert (encoding, brotli.decompress(body)) == ("br", LARGE.encode())


async def test_what_was_compressed_is_kept_where_a_cache_is_set() -> None:
    kept: dict[str, bytes] = {}

    class Cache:
        get = kept.get
        set = kept.__setitem__

    app = Quart(__name__)
    app.config.update(COMPRESS_CACHE_KEY=lambda request: request.path, COMPRESS_CACHE_BACKEND=Cache)
    compress = Compress()
    compress.init_app(app)
    app.get("/large")(lambda: LARGE)
    assert gzip.decompress((await get(app, "/large"))[1]) == LARGE.encode()
    assert list(kept) == ["/large"]
    assert gzip.decompress((await get(app, "/large"))[1]) == LARGE.encode()
