"""Quart's ``quart.utils``, as far as it is about more than asyncio."""

from __future__ import annotations

import inspect
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import trio
from werkzeug.datastructures import Headers

from ..tasks.functions import is_async
from ..testing.headers import decode_headers as decode_headers

is_coroutine_function = is_async

P = ParamSpec("P")
T = TypeVar("T")
_END: Any = object()


def run_sync(func: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Return an async function that calls ``func`` in a worker thread, in the context of its caller.

    If ``func`` is a generator function, each item is made in a thread too. A cancellation waits for the thread.
    """

    @wraps(func)
    async def run(*args: P.args, **kwargs: P.kwargs) -> Any:
        result: Any = await trio.to_thread.run_sync(partial(func, *args, **kwargs))
        return run_sync_iterable(result) if inspect.isgenerator(result) else result

    return run


async def run_sync_iterable(iterable: Iterator[T]) -> AsyncIterator[T]:
    """Iterate asynchronously over an iterator, each of whose items is made in a worker thread."""
    while (item := await trio.to_thread.run_sync(next, iterable, _END)) is not _END:
        yield item


def file_path_to_path(*paths: str | bytes | os.PathLike[Any]) -> Path:
    """Return the path that the parts make; bytes are in the encoding of the file system."""
    return Path(*map(os.fsdecode, paths))


def encode_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return the headers as ASGI has them: the names in small letters, and both as bytes."""
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
