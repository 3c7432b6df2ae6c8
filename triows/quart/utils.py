"""Quart's ``quart.utils``, as far as it is about more than asyncio."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from werkzeug.datastructures import Headers

from ..tasks.functions import is_async
from ..tasks.functions import run_sync as run_sync
from ..tasks.functions import run_sync_iterable as run_sync_iterable
from ..web.headers import decode_headers as decode_headers

is_coroutine_function = is_async


def file_path_to_path(*paths: str | bytes | os.PathLike[Any]) -> Path:
    """Return the path that the parts make; bytes are in the encoding of the file system."""
    return Path(*map(os.fsdecode, paths))


def encode_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return the headers as ASGI has them: the names in small letters, and both as bytes."""
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
