"""Small functions that Quart's users and extensions call."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from werkzeug.datastructures import Headers

from triows.quart import Quart, request
from triows.quart.utils import (
    decode_headers,
    encode_headers,
    file_path_to_path,
    is_coroutine_function,
    run_sync,
    run_sync_iterable,
)


async def test_a_function_runs_in_a_thread_with_the_context() -> None:
    @run_sync
    def where(word: str, *, end: str) -> tuple[str, str, bool]:
        return word + end, request.path, threading.current_thread() is threading.main_thread()

    async with Quart(__name__).test_request_context("/here"):
        assert await where("hello", end="!") == ("hello!", "/here", False)
    assert where.__name__ == "where"


async def test_the_items_of_a_generator_are_made_in_threads() -> None:
    threads = []

    @run_sync
    def count() -> Iterator[int]:
        for number in range(3):
            threads.append(threading.current_thread())
            yield number

    assert [number async for number in await count()] == [0, 1, 2]
    assert threading.main_thread() not in threads


async def test_an_iterator_may_have_none_in_it() -> None:
    assert [item async for item in run_sync_iterable(iter([None, 1]))] == [None, 1]


def test_headers_become_what_asgi_has_and_come_back() -> None:
    lines = encode_headers(Headers([("Name", "value"), ("X-Arrow", "→")]))
    assert lines == [(b"name", b"value"), (b"x-arrow", "→".encode())]
    assert decode_headers(lines).get("X-Arrow") == "→"


def test_paths_are_joined_bytes_too() -> None:
    assert file_path_to_path("a", b"b", Path("c")) == Path("a/b/c")


def test_async_functions_are_told_apart() -> None:
    async def function() -> None:
        pass

    assert (is_coroutine_function(function), is_coroutine_function(print)) == (True, False)
