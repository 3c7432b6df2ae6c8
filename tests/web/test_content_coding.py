"""Compression of responses: which ones, by which coding, and what becomes of their headers."""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from triows import EventSourceResponse, Response, Triows, request, send_file, session
from triows.web import content_coding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = "a line of a text that repeats itself\n" * 100


@pytest.fixture(autouse=True)
def _text(app: Triows) -> None:
    @app.get("/")
    async def text() -> str:
        return TEXT


async def get(app: Triows, path: str = "/", accept: str | None = "gzip", **headers: str) -> Response:
    client = app.test_client(use_cookies=False)
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.get(path, headers=fields if accept is None else {"Accept-Encoding": accept, **fields})


async def coding(app: Triows, path: str = "/", accept: str | None = "gzip", **headers: str) -> str | None:
    return (await get(app, path, accept, **headers)).headers.get("Content-Encoding")


def gunzip(data: bytes) -> str:
    inflater = zlib.decompressobj(31)
    text = (inflater.decompress(data) + inflater.flush()).decode()
    assert inflater.eof
    return text


async def test_nothing_is_compressed_unless_it_is_asked_for(app: Triows) -> None:
    response = await get(app)
    assert ("Content-Encoding" in response.headers, "Vary" in response.headers) == (False, False)


async def test_a_response_is_compressed_and_tells_its_length(app: Triows) -> None:
    app.compress()
    response = await get(app)
    data = await response.get_data()
    assert gunzip(data) == TEXT
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Content-Length"] == str(len(data))
    assert response.headers["Vary"] == "Accept-Encoding"
    assert len(data) < len(TEXT) / 10


async def test_zstd_is_preferred_where_the_client_has_no_preference(app: Triows) -> None:
    app.compress()
    response = await get(app, accept="gzip, deflate, br, zstd")
    assert response.headers["Content-Encoding"] == "zstd"
    assert zstd.decompress(await response.get_data()).decode() == TEXT


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("gzip;q=0.8, zstd;q=0.5", "gzip"),
        ("*", "zstd"),
        ("*;q=0.5, zstd;q=0", "gzip"),
        ("GZIP", "gzip"),
        ("gzip;q=0", None),
        ("br", None),
        ("identity", None),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0, gzip;q=0.5", "gzip"),
        ("gzip;q=x", None),
        ("", None),
        (None, None),
    ],
)
async def test_the_client_chooses(app: Triows, accept: str | None, expected: str | None) -> None:
    app.compress()
    response = await get(app, accept=accept)
    assert response.headers.get("Content-Encoding") == expected
    assert response.headers["Vary"] == "Accept-Encoding"  # another client would get another response


@pytest.mark.parametrize("accept", ["gzip", "zstd"])
async def test_the_answer_to_head_has_the_headers_of_that_to_get(app: Triows, accept: str) -> None:
    app.compress()
    client = app.test_client()
    got, head = [
        (await client.open("/", method=method, headers={"Accept-Encoding": accept})).headers
        for method in ("GET", "HEAD")
    ]
    for name in ("Content-Encoding", "Content-Length", "Vary"):
        assert got[name] == head[name]


# What is left as it is


@pytest.mark.parametrize(
    ("body", "status", "headers"),
    [
        ("short", 200, {}),
        (TEXT, 200, {"Content-Encoding": "br"}),
        (TEXT, 200, {"Repr-Digest": "sha-256=:AA==:"}),
        (TEXT, 200, {"Cache-Control": "public, no-transform"}),
        (TEXT, 200, {"Content-Type": "image/png"}),
        (TEXT, 206, {"Content-Range": "bytes 0-3699/5000"}),
        (TEXT, 200, {"Content-Type": "text/event-stream"}),
        ("", 204, {}),
    ],
)
async def test_what_gains_nothing_is_left_as_it_is(
    app: Triows, body: str, status: int, headers: dict[str, str]
) -> None:
    app.compress()

    @app.get("/other")
    async def other() -> Response:
        return Response(body, status, headers)

    response = await get(app, "/other")
    assert await response.get_data(as_text=True) == body
    assert response.headers.get("Content-Encoding") == headers.get("Content-Encoding")


@pytest.mark.parametrize(
    ("mimetype", "expected"),
    [
        ("application/json", "gzip"),
        ("application/problem+json", "gzip"),
        ("image/svg+xml", "gzip"),
        ("text/css", "gzip"),
        ("application/zip", None),
        ("video/mp4", None),
        (None, None),
    ],
)
async def test_the_type_decides(app: Triows, mimetype: str | None, expected: str | None) -> None:
    app.compress()

    @app.get("/typed")
    async def typed() -> Response:
        response = Response(TEXT, mimetype=mimetype)
        if mimetype is None:
            del response.headers["Content-Type"]
        return response

    assert await coding(app, "/typed") == expected


async def test_what_would_grow_is_left_as_it_is(app: Triows) -> None:
    app.compress(min_size=0)

    @app.get("/tiny")
    async def tiny() -> str:
        return "x"

    assert await coding(app, "/tiny") is None


async def test_the_settings_count(app: Triows) -> None:
    app.compress(codings=["gzip"], mimetypes=["text/html"], min_size=5000)
    assert await coding(app, accept="zstd, gzip") is None
    app.compress(codings="gzip", mimetypes="text/html", min_size=100)
    assert await coding(app, accept="zstd, gzip") == "gzip"
    app.compress(mimetypes=["application/*"])
    assert await coding(app) is None


async def test_a_response_that_is_sent_twice_stays_as_it_was(app: Triows) -> None:
    app.compress()
    kept = Response(TEXT)

    @app.get("/kept")
    async def again() -> Response:
        return kept

    assert [await coding(app, "/kept", accept) for accept in ("gzip", "br", "zstd")] == ["gzip", None, "zstd"]


# Secrets


@pytest.mark.parametrize("headers", [{"Cookie": "a=b"}, {"Authorization": "Basic YTpi"}])
async def test_what_a_known_visitor_gets_is_not_compressed(app: Triows, headers: dict[str, str]) -> None:
    app.compress()
    response = await get(app, **headers)
    assert await response.get_data(as_text=True) == TEXT
    assert ("Content-Encoding" in response.headers, response.headers["Vary"]) == (False, "Accept-Encoding")


async def test_what_begins_a_session_is_not_compressed(app: Triows) -> None:
    app.compress()
    app.secret_key = "secret"

    @app.get("/login")
    async def login() -> str:
        session["token"] = "secret"
        return TEXT

    assert await coding(app, "/login") is None


@pytest.mark.parametrize("app_too", [True, False])
async def test_a_route_may_ask_for_it_beside_secrets(app: Triows, app_too: bool) -> None:
    if app_too:
        app.compress()

    @app.get("/asked", compress=True)
    async def asked() -> str:
        return TEXT

    @app.get("/never", compress=False)
    async def never() -> str:
        return TEXT

    assert await coding(app, "/asked", Cookie="a=b") == "gzip"
    assert await coding(app, "/never") is None
    assert await coding(app) == ("gzip" if app_too else None)


@pytest.mark.parametrize("times", [1, 200])  # read whole, and in pieces
async def test_a_file_is_compressed_for_everybody(app: Triows, tmp_path: Path, times: int) -> None:
    app.compress()
    (tmp_path / "page.txt").write_text(TEXT * times)

    @app.get("/file")
    async def file() -> Response:
        return await send_file(tmp_path / "page.txt", conditional=True)

    response = await get(app, "/file", Cookie="a=b")
    assert gunzip(await response.get_data()) == TEXT * times
    assert "Accept-Ranges" not in response.headers  # they would be those of the file
    again = await get(app, "/file", Cookie="a=b", If_None_Match=response.headers["ETag"])
    assert (again.status_code, again.headers["ETag"]) == (304, response.headers["ETag"])
    part = await get(app, "/file", Range="bytes=0-5")
    assert (part.status_code, await part.get_data(), part.headers.get("Content-Encoding")) == (206, b"a line", None)
    head = await app.test_client().head("/file", headers={"Accept-Encoding": "gzip"})
    assert (head.headers["Content-Encoding"], head.headers["ETag"]) == ("gzip", response.headers["ETag"])


async def test_a_file_with_another_body_is_none(app: Triows, tmp_path: Path) -> None:
    app.compress()
    (tmp_path / "page.txt").write_text(TEXT)

    @app.get("/file")
    async def file() -> Response:
        response = await send_file(tmp_path / "page.txt")
        response.set_data(TEXT + "for one visitor")
        return response

    assert await coding(app, "/file", Cookie="a=b") is None


# ETags


async def test_an_etag_becomes_weak_and_conditional_requests_go_on_working(app: Triows) -> None:
    app.compress()

    @app.get("/tagged")
    async def tagged() -> Response:
        response = Response(TEXT)
        response.set_etag("tag")
        return await response.make_conditional(request)

    first = await get(app, "/tagged")
    assert first.headers["ETag"] == 'W/"tag"'
    assert (await get(app, "/tagged", accept="br")).headers["ETag"] == '"tag"'
    again = await get(app, "/tagged", If_None_Match=first.headers["ETag"])
    assert (again.status_code, again.headers["ETag"], again.headers["Vary"]) == (304, 'W/"tag"', "Accept-Encoding")
    assert (await get(app, "/tagged", accept="br", If_None_Match='"tag"')).headers["ETag"] == '"tag"'


async def test_a_weak_etag_stays_as_it_is(app: Triows) -> None:
    app.compress()

    @app.get("/tagged")
    async def tagged() -> Response:
        return Response(TEXT, headers={"ETag": 'W/"tag"'})

    assert (await get(app, "/tagged")).headers["ETag"] == 'W/"tag"'


# Streams


@pytest.mark.parametrize("accept", ["gzip", "zstd"])
async def test_each_piece_of_a_stream_can_be_read_at_once(app: Triows, accept: str) -> None:
    app.compress()
    going_on = trio.Event()

    @app.get("/stream")
    async def stream() -> AsyncIterator[str]:
        yield "first"
        await going_on.wait()
        yield "second"

    decoder: Any = zlib.decompressobj(31) if accept == "gzip" else zstd.ZstdDecompressor()
    async with app.test_client().request("/stream", headers={"Accept-Encoding": accept}) as connection:
        await connection.send_complete()
        assert decoder.decompress(await connection.receive()) == b"first"
        going_on.set()
        assert decoder.decompress(await connection.receive()) == b"second"
        assert decoder.decompress(await connection.receive()) == b""
        assert decoder.eof


async def test_a_stream_whose_length_is_told_loses_it(app: Triows) -> None:
    app.compress()

    @app.get("/stream")
    async def stream() -> Any:
        return iter([TEXT]), {"Content-Length": str(len(TEXT))}

    @app.get("/short")
    async def short() -> Any:
        return iter(["x"]), {"Content-Length": "1"}

    response = await get(app, "/stream")
    assert gunzip(await response.get_data()) == TEXT
    assert await coding(app, "/short") is None


async def test_events_are_compressed_if_their_type_is_named(app: Triows, autojump_clock: MockClock) -> None:
    app.compress(mimetypes=["text/event-stream"])

    async def source() -> AsyncIterator[str]:
        await trio.sleep(20)
        yield "one"

    @app.get("/events")
    async def events() -> EventSourceResponse:
        return EventSourceResponse(source())

    response = await get(app, "/events")
    assert gunzip(await response.get_data()) == ":\n\n:\n\ndata: one\n\n"


async def test_what_takes_long_is_compressed_in_a_thread(app: Triows, monkeypatch: pytest.MonkeyPatch) -> None:
    app.compress()
    threads = []
    run_sync = trio.to_thread.run_sync

    async def noting(function: Any, *args: Any, **options: Any) -> Any:
        threads.append(len(args[0]))
        return await run_sync(function, *args, **options)

    monkeypatch.setattr(content_coding.trio.to_thread, "run_sync", noting)
    large = TEXT * 10

    @app.get("/large")
    async def whole() -> str:
        return large

    @app.get("/stream")
    async def stream() -> AsyncIterator[str]:
        yield large
        yield "small"

    assert gunzip(await (await get(app, "/large")).get_data()) == large
    assert gunzip(await (await get(app, "/stream")).get_data()) == large + "small"
    assert gunzip(await (await get(app)).get_data()) == TEXT
    assert threads == [len(large), len(large)]


# Bad input


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"codings": ["br"]}, ValueError, "codings holds 'br'; it may hold 'zstd' and 'gzip'"),
        ({"codings": []}, ValueError, "codings is empty, so that nothing would be compressed; None stands for all"),
        ({"codings": 5}, TypeError, "codings is 5; it must be a list or tuple of strings, like ['gzip']"),
        ({"mimetypes": ["html"]}, ValueError, "mimetypes holds 'html'; a mimetype is like 'text/html', or 'text/*'"),
        ({"min_size": -1}, ValueError, "min_size is -1; it must be at least 0"),
        ({"gzip_level": 10}, ValueError, "gzip_level is 10; it must be from 1 to 9"),
        ({"zstd_level": 0}, ValueError, "zstd_level is 0; it must be at least 1"),
        ({"gzip_level": "6"}, TypeError, "gzip_level is '6'; it must be a whole number (int)"),
    ],
)
def test_what_no_setting_is(app: Triows, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        app.compress(**options)
    assert app.response_filters == ()


async def test_zstd_has_to_be_installed(app: Triows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_coding, "_has_zstd", lambda: False)
    message = "zstd needs Python 3.14, or a package: pip install 'triows[zstd]'"
    with pytest.raises(RuntimeError, match=f"^{re.escape(message)}$"):
        app.compress(codings=["zstd"])
    app.compress()
    assert await coding(app, accept="zstd, gzip;q=0.1") == "gzip"


@pytest.mark.parametrize("value", [1, "gzip"])
def test_a_route_says_yes_or_no(app: Triows, value: Any) -> None:
    with pytest.raises(TypeError, match=f"^the route '/x' has compress={value!r}; it must be True or False$"):
        app.get("/x", compress=value)(lambda: "")


def test_a_websocket_route_has_compression_instead(app: Triows) -> None:
    async def handler() -> None: ...

    message = r"^the websocket route '/ws' has no option 'compress': give it compression=$"
    with pytest.raises(TypeError, match=message):
        app.websocket("/ws", compress=True)(handler)
