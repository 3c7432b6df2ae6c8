"""ASGI servers that run on asyncio: they learn at start-up, or at the first request, that they cannot serve the app."""

from __future__ import annotations

import asyncio
import http.client
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from triows import Triows

from ..support.commands import write

LINE = (
    "the app needs Trio, and this server runs on another event loop:"
    " use 'triows run MODULE:app' or 'hypercorn -k trio MODULE:app'"
)


def sent(app: Triows, kind: str, **scope: Any) -> list[dict[str, Any]]:
    """What the app sends for one scope, on asyncio."""
    events: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": {"lifespan": "lifespan.startup", "websocket": "websocket.connect"}.get(kind, "http.request")}

    async def send(event: Any) -> None:
        events.append(event)

    asyncio.run(app({"type": kind, "asgi": {"version": "3.0"}, **scope}, receive, send))
    return events


def test_the_start_fails_in_one_line(app: Triows) -> None:
    assert sent(app, "lifespan") == [{"type": "lifespan.startup.failed", "message": LINE}]


def test_a_request_is_answered_and_logged(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    start, body = sent(app, "http")
    assert (start["type"], start["status"]) == ("http.response.start", 500)
    assert body == {"type": "http.response.body", "body": f"500: {LINE}\n".encode()}
    assert dict(start["headers"])[b"content-length"] == b"%d" % len(body["body"])
    assert caplog.record_tuples == [("triows.error", 40, f"a request was answered with 500: {LINE}")]


def test_a_handshake_is_answered_if_the_server_can_do_that(app: Triows) -> None:
    start, body = sent(app, "websocket", extensions={"websocket.http.response": {}})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 500)
    assert (body["type"], body["body"]) == ("websocket.http.response.body", f"500: {LINE}\n".encode())


def test_a_handshake_is_refused_if_the_server_can_do_no_more(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    assert sent(app, "websocket") == [{"type": "websocket.close", "code": 1011, "reason": ""}]
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("uvicorn", "chat:app", "--port", "0"), 3),
        (("hypercorn", "chat:app", "--bind", "127.0.0.1:0", "--workers", "0"), 1),
        (("hypercorn", "chat:app", "--bind", "127.0.0.1:0"), None),  # 0 in 0.18, which forgets its worker's
    ],
)
def test_a_server_on_asyncio_ends_with_an_error(tmp_path: Path, command: tuple[str, ...], code: int | None) -> None:
    write(tmp_path / "chat.py")
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert code is None or done.returncode == code
    assert done.stderr.count(LINE) == 1


def test_a_server_on_asyncio_without_a_lifespan_answers_500(tmp_path: Path) -> None:
    write(tmp_path / "chat.py")
    with subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "chat:app", "--port", "0", "--lifespan", "off"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if match := re.search(r"running on http://127\.0\.0\.1:(\d+)", line):
                    break
            assert match
            connection = http.client.HTTPConnection("127.0.0.1", int(match[1]), timeout=30)
            connection.request("GET", "/")
            response = connection.getresponse()
            assert (response.status, response.read()) == (500, f"500: {LINE}\n".encode())
            connection.close()
        finally:
            process.terminate()
        assert f"a request was answered with 500: {LINE}" in process.stderr.read()
