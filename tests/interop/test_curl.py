"""curl against both servers."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import GUARD, ServerProcess, find_program

BODY = bytes(range(256)) * 4096  # 1 MiB
BODY_IS = {"size": len(BODY), "sha256": hashlib.sha256(BODY).hexdigest()}
UPGRADE = [
    "--http1.1",
    *("--header", "Connection: Upgrade"),
    *("--header", "Upgrade: websocket"),
    *("--header", "Sec-WebSocket-Version: 13"),
    *("--header", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
]

Curl = Callable[..., bytes]


@pytest.fixture(scope="session")
def program() -> str:
    return find_program("curl")


@pytest.fixture
def curl(program: str) -> Curl:
    """Run curl; return what it printed."""

    def curl(*arguments: str, body: bytes = b"", exit_codes: tuple[int, ...] = (0,)) -> bytes:
        command = [program, "--disable", "--silent", "--show-error", "--noproxy", "*", "--max-time", str(GUARD)]
        done = subprocess.run([*command, *arguments], input=body, capture_output=True, timeout=2 * GUARD, check=False)
        assert done.returncode in exit_codes, done.stderr.decode()
        return done.stdout

    return curl


@pytest.fixture
def upload() -> Iterator[Path]:
    """A file of 1 MiB."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "upload.bin")
        path.write_bytes(BODY)
        yield path


def test_get(curl: Curl, server: ServerProcess) -> None:
    head, _, body = curl("--include", server.http("/")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"content-type: text/html; charset=utf-8" in head.lower()
    assert body == b"hello\n"


def test_head_has_the_headers_of_get_and_no_body(curl: Curl, server: ServerProcess) -> None:
    output = curl("--head", server.http("/"))
    assert output.startswith(b"HTTP/1.1 200")
    assert b"content-length: 6\r\n" in output.lower()
    assert output.endswith(b"\r\n\r\n")


def test_an_unknown_path_is_404(curl: Curl, server: ServerProcess) -> None:
    assert curl("--output", os.devnull, "--write-out", "%{http_code}", server.http("/nowhere")) == b"404"


def test_post_with_a_length(curl: Curl, server: ServerProcess, upload: Path) -> None:
    answer = json.loads(curl("--header", "Expect:", "--data-binary", f"@{upload}", server.http("/upload")))
    assert answer == {**BODY_IS, "length": str(len(BODY)), "expect": None}


def test_a_chunked_upload(curl: Curl, server: ServerProcess) -> None:
    arguments = ["--request", "POST", "--header", "Transfer-Encoding: chunked", "--header", "Expect:"]
    answer = json.loads(curl(*arguments, "--upload-file", "-", server.http("/upload"), body=BODY))
    assert answer == {**BODY_IS, "length": None, "expect": None}


def test_a_large_body_that_waits_for_100_continue(curl: Curl, server: ServerProcess, upload: Path) -> None:
    # Longer than the test may take: only the server's 100 sets the body free.
    arguments = ["--header", "Expect: 100-continue", "--expect100-timeout", str(2 * GUARD)]
    output = curl("--include", *arguments, "--data-binary", f"@{upload}", server.http("/upload"))
    interim, final, body = output.split(b"\r\n\r\n", 2)
    assert interim.startswith(b"HTTP/1.1 100")
    assert final.startswith(b"HTTP/1.1 200")
    assert json.loads(body) == {**BODY_IS, "length": str(len(BODY)), "expect": "100-continue"}


def test_a_body_that_is_refused_is_not_waited_for(curl: Curl, triows_server: ServerProcess, upload: Path) -> None:
    # Native alone: hypercorn says 100 before it asks the app.
    arguments = ["--header", "Expect: 100-continue", "--expect100-timeout", str(2 * GUARD)]
    report = ["--write-out", "%{http_code} %{size_upload}"]
    output = curl(*arguments, *report, "--data-binary", f"@{upload}", triows_server.http("/refuse"))
    assert output == b"no, thank you\n403 0"


def test_a_form_with_a_file(curl: Curl, server: ServerProcess, upload: Path) -> None:
    answer = json.loads(curl("--form", "name=Ada Lovelace", "--form", f"notes=@{upload}", server.http("/form")))
    assert answer == {"fields": {"name": "Ada Lovelace"}, "files": {"notes": ["upload.bin", len(BODY)]}}


def test_a_streamed_response_is_chunked(curl: Curl, server: ServerProcess) -> None:
    head, _, body = curl("--include", server.http("/stream")).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head.lower()
    assert body.split() == [b"%d" % number for number in range(1000)]


def test_two_urls_share_a_connection(curl: Curl, server: ServerProcess) -> None:
    report = ["--write-out", "%{http_code} %{num_connects}\n"]
    output = curl(*report, server.http("/"), "--output", os.devnull, "--next", *report, server.http("/version"))
    assert output == b"200 1\n1.1200 0\n"


def test_http_1_0_is_answered_and_the_connection_closed(curl: Curl, server: ServerProcess) -> None:
    report = ["--write-out", " %{http_code} %{num_connects}\n"]
    output = curl("--http1.0", *report, server.http("/version"), server.http("/version"))
    assert output == b"1.0 200 1\n1.0 200 1\n"


def test_a_streamed_response_to_http_1_0_is_whole(curl: Curl, server: ServerProcess) -> None:
    head, _, body = curl("--include", "--http1.0", server.http("/stream")).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert len(body.split()) == 1000


def test_a_websocket(curl: Curl, program: str, server: ServerProcess) -> None:
    about = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    if " ws " in about:
        assert curl(server.ws("/greeting")) == b"hello"
        return
    # This curl knows nothing of frames: it upgrades when told to, and prints what comes.
    # Exit code 52 or 56: the server has gone on without it.
    output = curl("--include", "--no-buffer", *UPGRADE, server.http("/greeting"), exit_codes=(0, 52, 56))
    head, _, frames = output.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101")
    assert b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in head.lower()
    assert frames.startswith(b"\x81\x05hello\x88\x02\x03\xe8")


def test_a_refused_websocket_is_401_with_its_challenge_and_body(curl: Curl, server: ServerProcess) -> None:
    head, _, body = curl("--include", *UPGRADE, server.http("/secret")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 401")
    assert b'\r\nwww-authenticate: basic realm="secret"' in head.lower()
    assert body == b"Who are you?\n"


def test_many_requests_in_parallel(curl: Curl, server: ServerProcess) -> None:
    urls = [server.http(f"/?number=[1-{100}]")]
    report = ["--write-out", "%{http_code}\n", "--output", os.devnull]
    output = curl("--parallel", "--parallel-max", "20", *report, *urls)
    assert output.split() == [b"200"] * 100
