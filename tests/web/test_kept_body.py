"""The body stays: whoever reads it, in whichever order and however often, sees the same bytes."""

from __future__ import annotations

import hashlib
import hmac
import os
import tempfile
import tracemalloc
from collections.abc import Awaitable, Callable
from itertools import permutations
from typing import Any
from unittest import mock

import pytest
import trio
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from triows import Request, Triows, request
from triows.protocol.head import Head
from triows.web.clientless import ClientlessConnection
from triows.web.kept_body import KeptBody

from .requests import make_request

MULTIPART = (
    b'--B\r\nContent-Disposition: form-data; name="field"\r\n\r\nvalue\r\n'
    b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n%s\r\n--B--\r\n'
)
LARGE = os.urandom(300_000).hex().encode()  # over what stays in memory

BODIES = {
    "json": ("application/json", b'{"a": "\xc3\xa9"}'),
    "urlencoded": ("application/x-www-form-urlencoded", b"field=value&b=%20"),
    "multipart": ("multipart/form-data; boundary=B", MULTIPART % b"content"),
    "large file": ("multipart/form-data; boundary=B", MULTIPART % LARGE),
    "text": ("text/plain", b"text"),
    "empty": ("text/plain", b""),
}


async def iterate(request: Request) -> bytes:
    return b"".join([piece async for piece in request.body])


async def read_form(request: Request) -> Any:
    return (await request.form).to_dict()


async def read_files(request: Request) -> Any:
    return [(file.seek(0), file.read()) for file in (await request.files).values()]


READERS: dict[str, Callable[[Request], Awaitable[Any]]] = {
    "get_data": lambda request: request.get_data(),
    "as_text": lambda request: request.get_data(as_text=True),
    "parsing": lambda request: request.get_data(parse_form_data=True),
    "data": lambda request: request.data,
    "body": lambda request: request.body.read(),
    "json": lambda request: request.get_json(silent=True),
    "json by force": lambda request: request.get_json(force=True, silent=True),
    "json anew": lambda request: request.get_json(force=True, silent=True, cache=False),
    "form": read_form,
    "files": read_files,
}


def in_pieces(body: bytes, size: int = 7_000) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def request_of(kind: str) -> Request:
    content_type, body = BODIES[kind]
    return make_request(*in_pieces(body), content_type=content_type)


@pytest.mark.parametrize("kind", BODIES)
async def test_readers_in_any_order_see_what_each_sees_alone(kind: str) -> None:
    alone = {}
    for name, read in READERS.items():
        request = request_of(kind)
        alone[name] = await read(request)
        await request.close()
    for order in permutations(READERS, 2 if kind == "large file" else 3):
        request = request_of(kind)
        for name in (*order, order[0]):
            assert await READERS[name](request) == alone[name], order
        await request.get_data()
        assert await iterate(request) == await iterate(request) == BODIES[kind][1]
        await request.close()


@pytest.mark.parametrize("kind", BODIES)
async def test_tasks_that_read_at_once_see_what_each_sees_alone(kind: str) -> None:
    request, found = request_of(kind), dict[str, Any]()

    async def reader(name: str) -> None:
        found[name] = await READERS[name](request)

    async with trio.open_nursery() as nursery:
        for name in READERS:
            nursery.start_soon(reader, name)
    for name in READERS:
        alone = request_of(kind)
        assert found[name] == await READERS[name](alone)
        await alone.close()
    await request.close()


@pytest.mark.parametrize("form_first", [True, False])
@pytest.mark.parametrize("multipart", [True, False])
async def test_a_webhook_is_verified_over_its_bytes_before_or_after_its_form(form_first: bool, multipart: bool) -> None:
    app = Triows(__name__)

    @app.post("/")
    async def hook() -> str:
        form = await request.form if form_first else None
        digest = hmac.digest(b"key", await request.get_data(), "sha256").hex()
        assert digest == request.headers["X-Signature"]
        return (form or await request.form)["field"]

    content_type, body = BODIES["multipart" if multipart else "urlencoded"]
    signature = hmac.digest(b"key", body, hashlib.sha256).hex()
    headers = {"Content-Type": content_type, "X-Signature": signature}
    response = await app.test_client().post("/", data=body, headers=headers)
    assert await response.get_data() == b"value"


@pytest.mark.parametrize("kind", ["urlencoded", "multipart", "json"])
async def test_a_body_that_was_not_kept_is_empty_for_the_next(kind: str) -> None:
    request = request_of(kind)
    assert await request.get_data(cache=False) == BODIES[kind][1]
    assert (await request.get_data(), await iterate(request)) == (b"", b"")
    assert (await read_form(request), await read_files(request)) == ({}, [])
    if kind == "json":
        with pytest.raises(BadRequest):
            await request.get_json()


async def test_json_is_read_anew_where_that_is_asked_for() -> None:
    request = request_of("json")
    first, second = await request.get_json(cache=False), await request.get_json(cache=False)
    assert first == second == {"a": "é"}
    assert first is not second


async def test_a_form_that_was_parsed_stays_when_its_body_is_dropped() -> None:
    request = request_of("large file")
    form, files = await read_form(request), await read_files(request)
    assert await request.get_data(cache=False) == BODIES["large file"][1]
    assert (await request.get_data(), await read_form(request), await read_files(request)) == (b"", form, files)
    await request.close()


async def test_iteration_takes_pieces_and_leaves_the_rest_for_all_others() -> None:
    request = make_request(b"ab", b"cd", b"ef")
    async for piece in request.body:
        assert piece == b"ab"
        break
    assert await request.get_data() == await iterate(request) == await request.get_data() == b"cdef"


async def test_single_pieces_may_be_asked_for() -> None:
    body = make_request(b"ab", b"cd").body
    assert [await anext(body), await anext(body), await anext(body, None)] == [b"ab", b"cd", None]


@pytest.mark.parametrize("kind", ["urlencoded", "multipart"])
async def test_a_malformed_or_too_large_form_leaves_the_bytes(kind: str) -> None:
    content_type, body = BODIES[kind]
    request = make_request(*in_pieces(body, 3), content_type=content_type)
    request.max_form_memory_size = 4
    for _ in range(2):
        with pytest.raises(RequestEntityTooLarge):
            await request.form
        assert await request.get_data() == await request.data == body
    request = make_request(*in_pieces(MULTIPART, 3), content_type="multipart/form-data; boundary=C")
    for _ in range(2):
        with pytest.raises(BadRequest):
            await request.form
        assert await request.get_data() == MULTIPART
        with pytest.raises(BadRequest):
            await request.get_data(parse_form_data=True)


@pytest.mark.parametrize("length", [20, None])
async def test_a_body_over_the_limit_is_refused_each_time(length: int | None) -> None:
    for name in [*READERS, "iterate"]:
        kind = "json" if "json" in name else "multipart"
        content_type = "application/json" if kind == "json" else "multipart/form-data; boundary=B"
        request = make_request(b"0123456789", b"0123456789", content_type=content_type, length=length)
        request.max_content_length = 15
        for reader in (name, name, *READERS):
            if "json" in reader and kind != "json":
                continue
            if reader in ("form", "files", "parsing") and kind == "json":
                continue
            with pytest.raises(RequestEntityTooLarge):
                await (iterate(request) if reader == "iterate" else READERS[reader](request))


async def test_a_limit_that_is_raised_too_late_does_not_bring_a_body_with_a_gap() -> None:
    request = make_request(b"0123456789", b"0123456789", b"0123456789")
    request.max_content_length = 15
    with pytest.raises(RequestEntityTooLarge):
        await request.get_data()
    request.max_content_length = None
    with pytest.raises(RequestEntityTooLarge):
        await request.get_data()


async def test_an_error_in_the_middle_loses_nothing() -> None:
    request = make_request(*in_pieces(MULTIPART, 10), content_type="multipart/form-data; boundary=B")
    receive = request.connection.receive_body
    calls = 0

    async def fail_now_and_then() -> bytes:
        nonlocal calls
        calls += 1
        if calls % 3 == 0:
            raise OSError("the network hiccups")
        return await receive()

    request.connection.receive_body = fail_now_and_then  # type: ignore[method-assign]
    data = None
    while data is None:
        try:
            data = await request.get_data()
        except OSError:
            pass
    assert data == MULTIPART
    assert (await read_form(request)) == {"field": "value"}


@pytest.mark.parametrize("kind", ["multipart", "large file", "urlencoded"])
async def test_a_cancellation_at_any_checkpoint_of_a_form_loses_nothing(kind: str) -> None:
    content_type, body = BODIES[kind]
    request = make_request(*in_pieces(body, 60_000 if kind == "large file" else 9), content_type=content_type)
    expected = request_of(kind)
    for count in range(1, 400):
        with trio.CancelScope() as scope:
            instrument = CancelAfter(count % 7 + 1, scope)
            trio.lowlevel.add_instrument(instrument)
            try:
                await request.form
            finally:
                trio.lowlevel.remove_instrument(instrument)
        if not scope.cancelled_caught:
            break
    else:
        pytest.fail("the form is never read")
    assert await read_form(request) == await read_form(expected)
    assert await read_files(request) == await read_files(expected)
    assert await request.get_data() == body
    for each in (request, expected):
        await each.close()


class CancelAfter(trio.abc.Instrument):
    """Cancels a scope when its task has been scheduled so many times."""

    def __init__(self, count: int, scope: trio.CancelScope) -> None:
        self.count = count
        self.scope = scope
        self.task = trio.lowlevel.current_task()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self.count -= 1
            if self.count == 0:
                self.scope.cancel()


class Generated(ClientlessConnection):
    """Makes a body up as it is read, so that the test has none in memory."""

    def __init__(self, head: Head, size: int) -> None:
        super().__init__(head, b"")
        self.ends = [(MULTIPART % b"|").partition(b"|")[::2]]
        self.left = size

    async def receive_body(self) -> bytes:
        if self.ends and self.left > 0:
            start, end = self.ends.pop()
            self.last = end
            return start
        if self.left > 0:
            self.left -= 65_536
            return b"x" * 65_536
        last, self.last = self.last, b""
        return last


def generated(size: int) -> Request:
    headers = [(b"host", b"x"), (b"content-type", b"multipart/form-data; boundary=B")]
    return Request(Generated(Head("POST", b"/", b"", headers, "1.1", "http"), size))


async def test_the_memory_of_a_large_form_is_that_of_its_fields() -> None:
    size = 12 << 20
    request = generated(size)
    tracemalloc.start()
    try:
        assert (await request.files)["file"].filename == "a.txt"
        _, peak = tracemalloc.get_traced_memory()
        assert peak < 4 << 20
        assert len(await request.get_data()) == size + len(MULTIPART) - 2
        _, peak = tracemalloc.get_traced_memory()
        assert peak < 3 * size
    finally:
        tracemalloc.stop()
        await request.close()


async def test_a_form_after_the_bytes_costs_no_second_body() -> None:
    request = generated(12 << 20)
    tracemalloc.start()
    try:
        await request.get_data()
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        await request.files
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        await request.close()
    assert peak - before < 4 << 20


async def test_the_work_for_a_form_after_the_bytes_grows_with_the_body_alone() -> None:
    reads = []
    for size in (1 << 20, 4 << 20):
        request = generated(size)
        await request.get_data()
        with mock.patch.object(KeptBody, "read", autospec=True, side_effect=KeptBody.read) as read:
            await request.form
        reads.append(read.call_count)
        await request.close()
    assert reads[1] <= 4 * reads[0]


async def test_the_temporary_files_are_gone_at_the_end() -> None:
    app, made, seen = Triows(__name__), list[Any](), list[bytes]()

    def noting(*args: Any, **kwargs: Any) -> Any:
        made.append(file := tempfile.TemporaryFile(*args, **kwargs))  # noqa: SIM115
        return file

    @app.post("/")
    async def upload() -> str:
        return str(len(await request.files))

    @app.teardown_request
    async def read_again(error: BaseException | None) -> None:
        seen.append(await request.get_data())

    with (
        mock.patch("triows.web.kept_body.TemporaryFile", noting),
        mock.patch("triows.web.forms.TemporaryFile", noting),
    ):
        headers = {"Content-Type": "multipart/form-data; boundary=B"}
        await app.test_client().post("/", data=MULTIPART % LARGE, headers=headers)
    assert [file.closed for file in made] == [True, True]
    assert seen == [MULTIPART % LARGE]


async def test_a_body_on_disk_is_gone_with_its_request() -> None:
    request = request_of("large file")
    await request.form
    await request.close()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="before the request ends"):
            await request.get_data()


async def test_kept_bytes_are_read_from_any_position_in_memory_and_on_disk() -> None:
    kept, data = KeptBody(), os.urandom(1_500_000)
    for start in range(0, len(data), 50_000):
        kept.append(data[start : start + 50_000])
        await kept.spill()
    assert not kept.is_in_memory
    for position in (0, 1, 499_999, 1_000_000, len(data) - 1):
        piece = await kept.read(position)
        assert piece
        assert data[position:].startswith(piece)
    assert await kept.read(len(data)) == b""
    assert await kept.whole() == data
    assert kept.is_in_memory
    kept.append(b"more")
    assert await kept.whole() == data + b"more"
    kept.close()


async def test_a_full_disk_loses_nothing() -> None:
    kept = KeptBody()
    kept.append(LARGE)
    full = mock.patch("triows.web.kept_body.TemporaryFile", side_effect=OSError("no space"))
    with full, pytest.raises(OSError, match="no space"):
        await kept.spill()
    assert await kept.whole() == LARGE
