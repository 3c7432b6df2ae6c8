"""The bodies of Quart's responses. Tests triows/quart/wrappers/response.py."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from triows.quart.wrappers.response import DataBody, FileBody, IOBody, IterableBody, Response, ResponseBody


@pytest.fixture(params=["data", "file", "io"])
def make_body(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Any]:
    """Make a body of b"abcdef" whose size is known; files are read by 4 bytes."""
    path = tmp_path / "file"
    path.write_bytes(b"abcdef")
    kinds: dict[str, Callable[[], Any]] = {
        "data": lambda: DataBody(b"abcdef"),
        "file": lambda: FileBody(path, buffer_size=4),
        "io": lambda: IOBody(BytesIO(b"abcdef"), buffer_size=4),
    }
    return kinds[request.param]


async def pieces_of(body: ResponseBody) -> list[bytes]:
    async with body as pieces:
        return [piece async for piece in pieces]


async def test_a_body_yields_what_it_is_made_of(make_body: Callable[[], Any]) -> None:
    assert b"".join(await pieces_of(make_body())) == b"abcdef"


async def test_files_are_read_by_the_size_of_a_buffer(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abcdef")
    assert await pieces_of(FileBody(tmp_path / "file", buffer_size=4)) == [b"abcd", b"ef"]
    assert await pieces_of(IOBody(BytesIO(b"abcdef"), buffer_size=4)) == [b"abcd", b"ef"]


@pytest.mark.parametrize(
    ("begin", "end", "part"),
    [(0, 3, b"abc"), (2, None, b"cdef"), (1, 99, b"bcdef"), (-2, None, b"ef"), (5, 6, b"f")],
)
async def test_a_body_of_known_size_is_cut_to_a_range(
    make_body: Callable[[], Any], begin: int, end: int | None, part: bytes
) -> None:
    body = make_body()
    assert await body.make_conditional(begin, end) == 6
    assert b"".join(await pieces_of(body)) == part


@pytest.mark.parametrize(("begin", "end"), [(6, None), (3, 3), (3, 2), (-7, None)])
async def test_a_range_outside_of_the_body_is_not_satisfiable(
    make_body: Callable[[], Any], begin: int, end: int | None
) -> None:
    with pytest.raises(RequestedRangeNotSatisfiable):
        await make_body().make_conditional(begin, end)


async def test_a_response_takes_such_a_body(make_body: Callable[[], Any]) -> None:
    assert await Response(make_body()).get_data() == b"abcdef"


async def test_a_body_may_be_closed_before_it_is_iterated_over(make_body: Callable[[], Any]) -> None:
    body = make_body()
    await body.aclose()
    async with body:
        pass


async def async_pieces() -> AsyncGenerator[bytes, None]:
    yield b"abc"
    yield b"def"


@pytest.mark.parametrize("iterable", [lambda: [b"abc", b"def"], lambda: iter((b"abc", b"def")), async_pieces])
async def test_a_body_of_pieces_yields_them(iterable: Callable[[], Any]) -> None:
    assert await pieces_of(IterableBody(iterable())) == [b"abc", b"def"]
    assert await Response(IterableBody(iterable())).get_data() == b"abcdef"


async def test_leaving_a_body_of_pieces_early_closes_its_generator() -> None:
    ended = []

    async def endless() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"a"
        finally:
            ended.append(True)

    async with IterableBody(endless()) as pieces:
        assert await anext(aiter(pieces)) == b"a"
    assert ended == [True]


async def test_a_body_of_an_iterator_without_an_end_to_call_is_left() -> None:
    class Pieces:
        def __aiter__(self) -> Pieces:
            return self

        async def __anext__(self) -> bytes:
            return b"a"

    async with IterableBody(Pieces()) as pieces:
        assert await anext(aiter(pieces)) == b"a"


async def test_leaving_a_file_early_closes_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abcdef")
    body = FileBody(tmp_path / "file", buffer_size=2)
    async with body as pieces:
        assert await anext(aiter(pieces)) == b"ab"
    assert body._file is not None
    assert body._file.closed
