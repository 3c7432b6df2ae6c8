"""Files over every transport.

Tests triows/web/files.py and triows/web/file_body.py.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import pytest
import trio

from ..support.wire import Gone, Response, Wire
from .conftest import Target
from .file_routes import LARGE, MEDIUM

PIECE = 65536


async def get(target: Target, name: str, *headers: str) -> Response:
    return await target.request("GET", f"/static/{name}", *headers)


async def folder_of(target: Target) -> Path:
    return Path((await target.get("/files-folder")).body.decode())


async def begin(target: Target, name: str) -> tuple[Wire, Response]:
    """A client that has the head of a response, and has not read more."""
    wire = await target.connect()
    await wire.send(f"GET /static/{name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return wire, await wire.read_head()


@pytest.mark.parametrize(
    ("name", "content"), [("small.txt", b"0123456789"), ("empty.txt", b""), ("medium.bin", MEDIUM)]
)
async def test_a_file_is_sent_with_its_length_and_its_state(target: Target, name: str, content: bytes) -> None:
    response = await get(target, name)
    assert (response.status, response.body) == (200, content)
    assert response.headers["content-length"] == str(len(content))
    assert response.headers["accept-ranges"] == "bytes"
    assert "transfer-encoding" not in response.headers
    head = await target.request("HEAD", f"/static/{name}")
    ours = {name: value for name, value in head.headers.items() if name not in ("date", "expires")}
    assert (head.status, ours.items() <= response.headers.items()) == (200, True)
    validators = [
        f"If-None-Match: {response.headers['etag']}",
        f"If-Modified-Since: {response.headers['last-modified']}",
    ]
    for validator in validators:
        for method in ("GET", "HEAD"):
            answer = await target.request(method, f"/static/{name}", validator)
            assert (answer.status, answer.body) == (304, b"")
            assert answer.headers["etag"] == response.headers["etag"]


@pytest.mark.parametrize("name", ["small.txt", "medium.bin"])
async def test_a_failed_precondition_is_412(target: Target, name: str) -> None:
    for header in ('If-Match: "other"', "If-Unmodified-Since: Mon, 06 May 2002 07:08:09 GMT"):
        response = await get(target, name, header)
        assert (response.status, response.body) == (412, b"")


RANGES = [
    ("0-0", 0, 1),
    ("100-199", 100, 200),
    ("-3", -3, None),
    ("262144-524288", 262144, 524289),
    ("262143-786432", 262143, 786433),
    ("1000000-", 1000000, None),
    ("0-", 0, None),
    ("5-99999999999", 5, None),
]


async def test_a_range_of_a_file_is_sent(target: Target) -> None:
    for wanted, start, stop in RANGES:
        response = await get(target, "medium.bin", f"Range: bytes={wanted}")
        assert (response.status, response.body) == (206, MEDIUM[start:stop])
        first, last = (start + len(MEDIUM) if start < 0 else start), (len(MEDIUM) if stop is None else stop) - 1
        assert response.headers["content-range"] == f"bytes {first}-{last}/{len(MEDIUM)}"
        assert response.headers["content-length"] == str(last + 1 - first)


async def test_several_ranges_are_one_body_of_parts(target: Target) -> None:
    response = await get(target, "medium.bin", "Range: bytes=0-1,524287-786433,-3")
    assert response.status == 206
    assert response.headers["content-length"] == str(len(response.body))
    match = re.fullmatch("multipart/byteranges; boundary=(.+)", response.headers["content-type"])
    assert match is not None
    before, *parts, after = response.body.split(b"\r\n--" + match[1].encode())
    assert (before, after) == (b"", b"--\r\n")
    found = {}
    for part in parts:
        head, _, content = part.partition(b"\r\n\r\n")
        found[head.decode().strip().split("\r\n")[1]] = content
    size = len(MEDIUM)
    assert found == {
        f"Content-Range: bytes 0-1/{size}": MEDIUM[:2],
        f"Content-Range: bytes 524287-786433/{size}": MEDIUM[524287:786434],
        f"Content-Range: bytes {size - 3}-{size - 1}/{size}": b"end",
    }


async def test_ranges_that_overlap_are_sent_once(target: Target) -> None:
    response = await get(target, "medium.bin", f"Range: bytes={','.join(['0-'] * 16)}")
    assert (response.status, len(response.body)) == (206, len(MEDIUM))


NOT_THERE = [
    "bytes=99999999-",
    "bytes=-0",
    "bytes=2-1",
    "bytes=a-b",
    "bytes",
    "lines=0-1",
    f"bytes=0-{'1' * 5000},a",
    f"bytes={','.join(f'{number}-{number}' for number in range(0, 2000, 2))}",
]


@pytest.mark.parametrize(("name", "size"), [("small.txt", 10), ("medium.bin", len(MEDIUM))])
async def test_ranges_that_are_not_there_or_too_many_are_416(target: Target, name: str, size: int) -> None:
    for wanted in NOT_THERE:
        response = await get(target, name, f"Range: {wanted}")
        assert (response.status, wanted) == (416, wanted)
        assert response.headers["content-range"] == f"bytes */{size}"


async def test_an_empty_file_has_no_ranges(target: Target) -> None:
    for wanted in ("0-", "0-0", "-1", "-0", "5-"):
        response = await get(target, "empty.txt", f"Range: bytes={wanted}")
        assert (response.status, response.body, wanted) == (200, b"", wanted)


async def test_head_has_no_ranges(target: Target) -> None:
    response = await target.request("HEAD", "/static/medium.bin", "Range: bytes=0-1")
    assert (response.status, response.headers["content-length"]) == (200, str(len(MEDIUM)))


async def test_a_download_goes_on_only_with_the_same_file(target: Target) -> None:
    etag = (await get(target, "medium.bin")).headers["etag"]
    response = await get(target, "medium.bin", "Range: bytes=-3", f"If-Range: {etag}")
    assert (response.status, response.body) == (206, b"end")
    response = await get(target, "medium.bin", "Range: bytes=-3", 'If-Range: "former"')
    assert (response.status, response.body) == (200, MEDIUM)


async def test_ranges_of_bytes_in_memory_are_sent(target: Target) -> None:
    response = await target.request("GET", "/from-memory", "Range: bytes=2-4")
    assert (response.status, response.body) == (206, b"234")
    assert (await target.request("GET", "/from-memory", "Range: bytes=10-")).status == 416


NOT_FOUND = [
    "missing",
    "inner",
    "fifo",
    "link-out.txt",
    "small.txt/more",
    "../secret.txt",
    "..%2fsecret.txt",
    "%2e%2e/secret.txt",
    "..%5csecret.txt",
    "C:%5csecret.txt",
    "C:/secret.txt",
    "small.txt%00",
    "%00",
    "%ff%fe",
    "NUL",
    "COM1.txt",
    "x" * 300,
]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_is_no_file_of_the_folder_is_not_found(target: Target, method: str) -> None:
    for name in NOT_FOUND:
        response = await target.request(method, f"/static/{name}")
        assert (response.status, name) == (404, name)


async def test_the_connection_is_kept_after_a_file(target: Target) -> None:
    wire, response = await begin(target, "medium.bin")
    assert await wire.read(int(response.headers["content-length"])) == MEDIUM
    await wire.send(b"GET /static/small.txt HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await wire.read_response()).body == b"0123456789"
    await wire.stream.aclose()


async def test_a_file_may_deny_a_websocket(target: Target) -> None:
    wire = await target.connect()
    await wire.send(
        b"GET /static-denial/medium.bin HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    response = await wire.read_response()
    assert (response.status, response.body) == (200, MEDIUM)
    await wire.stream.aclose()


async def test_a_file_that_becomes_shorter_is_never_taken_for_whole(target: Target) -> None:
    path = await folder_of(target) / "shrinking.bin"
    path.touch()
    os.truncate(path, LARGE)
    wire, response = await begin(target, "shrinking.bin")
    assert (response.status, response.headers["content-length"]) == (200, str(LARGE))
    os.truncate(path, 1)
    received = 0
    try:
        while received < LARGE:
            await wire.read(PIECE)
            received += PIECE
    except Gone:
        received += len(await wire.read_rest())
    assert received < LARGE
    await wire.stream.aclose()
    path.unlink()


async def test_a_file_that_grows_is_sent_as_it_was(target: Target) -> None:
    path = await folder_of(target) / "growing.bin"
    path.write_bytes(MEDIUM * 20)
    wire, response = await begin(target, "growing.bin")
    with path.open("ab") as file:
        file.write(b"more")
    assert response.headers["content-length"] == str(20 * len(MEDIUM))
    digest = hashlib.sha256()
    for _ in range(20):
        digest.update(await wire.read(len(MEDIUM)))
    assert digest.digest() == hashlib.sha256(MEDIUM * 20).digest()
    await wire.send(b"GET /static/small.txt HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await wire.read_response()).body == b"0123456789"
    await wire.stream.aclose()
    path.unlink()


async def test_clients_that_take_nothing_block_no_other(target: Target) -> None:
    path = await folder_of(target) / "large.bin"
    path.touch()
    os.truncate(path, LARGE)
    stalled = [await begin(target, "large.bin") for _ in range(20)]
    assert (await get(target, "large.bin", "Range: bytes=-5")).body == bytes(5)
    assert (await get(target, "small.txt")).body == b"0123456789"
    for wire, _ in stalled:
        await trio.aclose_forcefully(wire.stream)
    path.unlink()


@pytest.mark.huge
@pytest.mark.transports("tcp", "tls", "tasks")
async def test_a_file_of_three_gigabytes_takes_little_memory(target: Target) -> None:
    path = await folder_of(target) / "huge.bin"
    path.touch()
    size = 3 * 1024**3
    os.truncate(path, size)
    with path.open("r+b") as file:
        file.seek(size - 3)
        file.write(b"end")
    wire, response = await begin(target, "huge.bin")
    assert response.headers["content-length"] == str(size)
    left = size - 3
    most = before = memory()
    while left:
        left -= len(await wire.read(min(left, 1024 * 1024)))
        most = max(most, memory())
    assert await wire.read(3) == b"end"
    assert most - before < 20 * 1024 * 1024
    response = await get(target, "huge.bin", f"Range: bytes={size - 3}-")
    assert (response.status, response.body) == (206, b"end")
    await wire.stream.aclose()
    path.unlink()


def memory() -> int:
    """Bytes of this process that are resident."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
