"""Conditional requests: 304 and 412, ranges, and the ETags that they need."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.sansio.request import Request as SansIORequest

from triows import Response

WHEN = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
DATE = "Mon, 06 May 2024 07:08:09 GMT"
LATER = "Mon, 06 May 2024 07:08:10 GMT"
EARLIER = "Mon, 06 May 2024 07:08:08 GMT"


def asking(*headers: tuple[str, str], method: str = "GET") -> SansIORequest:
    return SansIORequest(method, "http", None, "", "/", b"", Headers([*headers]), None)


def answer(*, weak: bool = False, etag: str | None = "tag", modified: datetime | None = WHEN) -> Response:
    response = Response(b"abcdefghij", content_type="text/plain")
    if etag is not None:
        response.set_etag(etag, weak)
    if modified is not None:
        response.last_modified = modified
    return response


async def status(*headers: tuple[str, str], method: str = "GET", response: Response | None = None) -> int:
    response = answer() if response is None else response
    await response.make_conditional(asking(*headers, method=method), True, 10)
    body = await response.get_data()
    assert body == (b"" if response.status_code in (304, 412) else b"abcdefghij"), body
    return response.status_code


# Conditions, in the order of RFC 9110, section 13.2.2


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], 200),
        ([("If-None-Match", '"tag"')], 304),
        ([("If-None-Match", 'W/"tag"')], 304),
        ([("If-None-Match", '"other", "tag"')], 304),
        ([("If-None-Match", "*")], 304),
        ([("If-None-Match", '"other"')], 200),
        ([("If-None-Match", '"other"'), ("If-Modified-Since", LATER)], 200),
        ([("If-Modified-Since", DATE)], 304),
        ([("If-Modified-Since", LATER)], 304),
        ([("If-Modified-Since", EARLIER)], 200),
        ([("If-Modified-Since", "yesterday")], 200),
        ([("If-Match", '"tag"')], 200),
        ([("If-Match", "*")], 200),
        ([("If-Match", '"other"')], 412),
        ([("If-Match", 'W/"tag"')], 412),
        ([("If-Match", '"other"'), ("If-None-Match", '"tag"')], 412),
        ([("If-Match", '"tag"'), ("If-Unmodified-Since", EARLIER)], 200),
        ([("If-Match", '"tag"'), ("If-None-Match", '"tag"')], 304),
        ([("If-Unmodified-Since", DATE)], 200),
        ([("If-Unmodified-Since", EARLIER)], 412),
        ([("If-Unmodified-Since", "yesterday")], 200),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_condition_that_fails_is_answered_without_a_body(
    headers: list[tuple[str, str]], expected: int, method: str
) -> None:
    assert await status(*headers, method=method) == expected


async def test_a_weak_etag_matches_weakly_alone() -> None:
    assert await status(("If-None-Match", '"tag"'), response=answer(weak=True)) == 304
    assert await status(("If-Match", '"tag"'), response=answer(weak=True)) == 412
    assert await status(("If-Match", "*"), response=answer(weak=True)) == 200


async def test_a_response_without_validators_has_none_that_match() -> None:
    def bare() -> Response:
        return answer(etag=None, modified=None)

    assert await status(("If-None-Match", '"tag"'), response=bare()) == 200
    assert await status(("If-Match", '"tag"'), response=bare()) == 412
    assert await status(("If-Modified-Since", LATER), response=bare()) == 200
    assert await status(("If-Unmodified-Since", EARLIER), response=bare()) == 200


async def test_other_methods_have_no_conditions() -> None:
    assert await status(("If-None-Match", '"tag"'), ("Range", "bytes=0-1"), method="POST") == 200


async def test_not_modified_tells_no_length() -> None:
    response = answer()
    response.content_length = 10
    await response.make_conditional(asking(("If-None-Match", '"tag"')))
    assert "Content-Length" not in response.headers
    assert response.headers["ETag"] == '"tag"'


# Ranges


async def test_a_range_is_cut_out() -> None:
    response = answer()
    assert await response.make_conditional(asking(("Range", "bytes=0-3")), True, 10) is response
    assert response.status_code == 206
    assert await response.get_data() == b"abcd"
    assert response.headers["Content-Range"] == "bytes 0-3/10"
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.content_length == 4


async def test_several_ranges_are_parts() -> None:
    response = answer()
    await response.make_conditional(asking(("Range", "bytes=0-1,-2")), True, 10)
    assert response.status_code == 206
    assert "Content-Range" not in response.headers
    match = re.fullmatch("multipart/byteranges; boundary=([0-9a-f]{32})", response.headers["Content-Type"])
    assert match is not None
    limit = match[1].encode()
    head = b"\r\n--" + limit + b"\r\nContent-Type: text/plain\r\nContent-Range: bytes "
    body = head + b"0-1/10\r\n\r\nab" + head + b"8-9/10\r\n\r\nij\r\n--" + limit + b"--\r\n"
    assert await response.get_data() == body
    assert response.content_length == len(body)


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=a", "second=0-3", "bytes=" + "0-0," * 17])
async def test_ranges_that_are_not_there_are_an_error(wanted: str) -> None:
    response = answer()
    with pytest.raises(RequestedRangeNotSatisfiable) as caught:
        await response.make_conditional(asking(("Range", wanted)), True, 10)
    assert caught.value.length == 10
    assert (response.status_code, await response.get_data()) == (200, b"abcdefghij")


@pytest.mark.parametrize(
    ("validator", "expected"),
    [
        ('"tag"', 206),
        ('"other"', 200),
        ('W/"tag"', 200),
        (DATE, 206),
        (LATER, 200),
        (EARLIER, 200),
        ("nonsense", 200),
    ],
)
async def test_if_range_sends_the_whole_of_another_state(validator: str, expected: int) -> None:
    response = answer()
    await response.make_conditional(asking(("Range", "bytes=0-3"), ("If-Range", validator)), True, 10)
    assert response.status_code == expected
    assert len(await response.get_data()) == (4 if expected == 206 else 10)


async def test_if_range_needs_a_strong_etag() -> None:
    response = answer(weak=True)
    await response.make_conditional(asking(("Range", "bytes=0-3"), ("If-Range", 'W/"tag"')), True, 10)
    assert response.status_code == 200


async def test_a_condition_comes_before_a_range() -> None:
    response = answer()
    await response.make_conditional(asking(("Range", "bytes=0-3"), ("If-None-Match", '"tag"')), True, 10)
    assert response.status_code == 304
    assert "Content-Range" not in response.headers


@pytest.mark.parametrize(
    ("response", "method", "accept", "length"),
    [
        (answer(), "HEAD", True, 10),
        (answer(), "GET", "none", 10),
        (answer(), "GET", True, None),
        (answer(), "GET", True, 0),
        (Response(b"abcdefghij", 404), "GET", True, 10),
    ],
)
async def test_a_range_is_passed_over(response: Response, method: str, accept: bool | str, length: int | None) -> None:
    before = response.status_code
    await response.make_conditional(asking(("Range", "bytes=0-3"), method=method), accept, length)
    assert response.status_code == before
    assert await response.get_data() == b"abcdefghij"


@pytest.mark.parametrize(("accept", "header"), [(True, "bytes"), (False, None), ("none", "none")])
async def test_accept_ranges_is_told_when_it_is_known(accept: bool | str, header: str | None) -> None:
    response = answer()
    await response.make_conditional(asking(), accept, 10)
    assert response.headers.get("Accept-Ranges") == header


async def test_ranges_of_a_streamed_body_are_read_from_it() -> None:
    async def letters() -> AsyncIterator[bytes]:
        yield b"abcde"
        yield b"fghij"

    response = Response(letters())
    await response.make_conditional(asking(("Range", "bytes=4-5")), True, 10)
    assert (response.status_code, await response.get_data()) == (206, b"ef")


async def test_a_streamed_body_that_is_not_sent_is_closed() -> None:
    closed = []

    class Letters:
        def __aiter__(self) -> Letters:
            return self

        async def __anext__(self) -> bytes:
            raise AssertionError("read, although the client has it")

        async def aclose(self) -> None:
            closed.append(True)

    response = Response(Letters())
    response.set_etag("tag")
    await response.make_conditional(asking(("If-None-Match", '"tag"')))
    assert (response.status_code, closed) == (304, [True])


# ETags, and freezing


async def test_an_etag_is_made_of_the_body() -> None:
    response = Response(b"abcdef")
    await response.add_etag()
    assert response.get_etag() == ("e80b5017098950fc58aad83c8c14978e", False)
    response.set_data(b"other")
    await response.add_etag()
    assert response.get_etag() == ("e80b5017098950fc58aad83c8c14978e", False)
    await response.add_etag(overwrite=True, weak=True)
    assert response.get_etag() == ("795f3202b17cb6bc3d4b771d8c6c9eaf", True)


async def test_a_frozen_response_is_complete() -> None:
    async def letters() -> AsyncIterator[str]:
        yield "ab"
        yield "cd"

    response = Response(letters())
    await response.freeze()
    assert not response.is_streamed
    assert [await response.get_data(), await response.get_data()] == [b"abcd", b"abcd"]


def test_the_dates_of_these_tests_are_right() -> None:
    response = answer()
    assert response.headers["Last-Modified"] == DATE
    response.last_modified = WHEN + timedelta(seconds=1)
    assert response.headers["Last-Modified"] == LATER
