"""app.csrf_protect(): which requests of pages are refused."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import MockClock

from triows import Triows

HOST = "app.example"


def make_app(**options: Any) -> Triows:
    app = Triows(__name__)

    @app.before_request
    async def never_seen() -> None:
        seen.append("hook")

    app.csrf_protect(**options)

    @app.route("/", methods=["GET", "POST", "PUT", "DELETE"])
    async def form() -> str:
        return "done"

    @app.post("/webhook")
    async def webhook() -> str:
        return "done"

    return app


seen: list[str] = []


async def status(app: Triows, method: str = "POST", path: str = "/", **headers: str) -> int:
    fields = {"Host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return (await app.test_client().open(path, method=method, headers=fields)).status_code


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 200),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
        ({"Sec_Fetch_Site": "none"}, 200),
        ({"Sec_Fetch_Site": "same-origin", "Origin": "null"}, 200),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Sec_Fetch_Site": "whatever"}, 403),
        ({"Sec_Fetch_Site": "cross-site", "Origin": f"https://{HOST}"}, 403),
        ({"Origin": f"https://{HOST}"}, 200),
        ({"Origin": f"http://{HOST}:80"}, 200),
        ({"Origin": f"https://{HOST}:8443"}, 403),
        ({"Origin": f"https://evil.{HOST}"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
    ],
)
async def test_unsafe_requests(method: str, headers: dict[str, str], expected: int) -> None:
    seen.clear()
    assert await status(make_app(), method, **headers) == expected
    assert seen == (["hook"] if expected == 200 else [])


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_safe_requests_are_let_in(method: str) -> None:
    assert await status(make_app(), method, Sec_Fetch_Site="cross-site", Origin="https://evil.example") == 200


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("https://partner.example", 200),
        ("https://a.sister.example", 200),
        ("http://partner.example", 403),
        ("null", 403),
    ],
)
async def test_trusted_origins(origin: str, expected: int) -> None:
    app = make_app(trusted_origins=["https://partner.example", "https://*.sister.example"])
    assert await status(app, Sec_Fetch_Site="cross-site", Origin=origin) == expected
    assert await status(app, Origin=origin) == expected
    assert await status(app, Sec_Fetch_Site="cross-site") == 403


async def test_exempt_routes() -> None:
    app = make_app(exempt=["webhook"])
    assert await status(app, path="/webhook", Origin="https://evil.example") == 200
    assert await status(app, Origin="https://evil.example") == 403
    assert await status(app, path="/missing", Origin="https://evil.example") == 403


async def test_error_handlers_answer_and_the_log_tells_once(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()

    @app.errorhandler(403)
    async def forbidden(error: Exception) -> tuple[str, int]:
        return "go away", 418

    for _ in range(2):
        assert await status(app, Origin="https://evil.example") == 418
    (record,) = caplog.records
    assert "cross-origin POST of the route 'form', from a page of 'https://evil.example'" in record.getMessage()


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"trusted_origins": ["*"]}, ValueError, "holds '\\*'"),
        ({"trusted_origins": ["null"]}, ValueError, "holds 'null'"),
        ({"trusted_origins": ["example.com"]}, ValueError, "example.com"),
        ({"exempt": "webhook"}, TypeError, "exempt is 'webhook'"),
        ({"exempt": [len]}, TypeError, "every item must be a string"),
    ],
)
def test_mistakes(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make_app(**options)
