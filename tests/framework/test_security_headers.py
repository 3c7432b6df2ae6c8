"""app.security_headers()."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import MockClock

from triows import Triows

from ..support.asgi import http
from ..support.http import ask, get
from ..support.served import served

DEFAULTS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
OTHERS = ("Content-Security-Policy", "Permissions-Policy", "Strict-Transport-Security")


def make_app(**options: Any) -> Triows:
    app = Triows(__name__)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.security_headers(**options)

    @app.get("/")
    async def index() -> str:
        return "hello"

    @app.get("/own")
    async def own() -> tuple[str, dict[str, str]]:
        return "framed", {"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"}

    @app.get("/broken")
    async def broken() -> str:
        raise LookupError("broken")

    @app.websocket("/ws")
    async def ws() -> tuple[str, int]:
        return "no", 403

    return app


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/", "GET", 200), ("/missing", "GET", 404), ("/", "POST", 405), ("/broken", "GET", 500)],
)
async def test_all_responses_have_the_defaults(path: str, method: str, status: int) -> None:
    response = await make_app().test_client().open(path, method=method)
    assert response.status_code == status
    assert {name: response.headers[name] for name in DEFAULTS} == DEFAULTS
    assert not any(name in response.headers for name in OTHERS)


async def test_a_refused_handshake_has_them(autojump_clock: MockClock) -> None:
    async with served(make_app()) as target:
        wire = target.connect()
        await wire.send(
            get(
                "/ws",
                "Upgrade: websocket",
                "Connection: Upgrade",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            )
        )
        response = await wire.read_response()
    assert (response.status, response.headers["x-content-type-options"]) == (403, "nosniff")


async def test_what_a_view_or_a_later_hook_sets_stays() -> None:
    app = make_app()

    @app.after_request
    async def other(response: Any) -> Any:
        response.headers["Cross-Origin-Opener-Policy"] = "unsafe-none"
        return response

    response = await app.test_client().get("/own")
    assert response.headers.getlist("X-Frame-Options") == ["DENY"]
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers.getlist("Cross-Origin-Opener-Policy") == ["unsafe-none"]


async def test_others_are_set_and_none_leaves_out() -> None:
    app = make_app(csp="default-src 'self'", permissions_policy="camera=()", frame_options=None, opener_policy=None)
    headers = (await app.test_client().get("/")).headers
    assert headers["Content-Security-Policy"] == "default-src 'self'"
    assert headers["Permissions-Policy"] == "camera=()"
    assert "X-Frame-Options" not in headers
    assert "Cross-Origin-Opener-Policy" not in headers


@pytest.mark.parametrize(
    ("hsts", "value"), [(3600, b"max-age=3600"), (0, b"max-age=0"), ("max-age=5; preload", b"max-age=5; preload")]
)
async def test_hsts_is_for_tls_alone(hsts: Any, value: bytes) -> None:
    app = make_app(hsts=hsts)
    for scheme, expected in (("https", value), ("http", None)):
        async with http(app, "/", scheme=scheme) as server:
            server.put("http.request", body=b"", more_body=False)
            assert dict((await server.next())["headers"]).get(b"strict-transport-security") == expected


async def test_the_server_s_own_answers_have_none(autojump_clock: MockClock) -> None:
    async with served(make_app()) as target:
        response = await ask(target.connect(), b"nonsense\r\n\r\n")
    assert (response.status, "x-content-type-options" in response.headers) == (400, False)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"hsts": -1}, ValueError, "hsts is -1"),
        ({"hsts": True}, ValueError, "hsts is True"),
        ({"hsts": b"x"}, TypeError, "Strict-Transport-Security is b'x'"),
        ({"csp": 5}, TypeError, "Content-Security-Policy is 5"),
        ({"csp": "a\r\nb"}, ValueError, "(?i)header"),
    ],
)
def test_mistakes(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make_app(**options)
