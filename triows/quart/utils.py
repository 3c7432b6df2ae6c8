"""Quart's ``quart.utils``, as far as it is about more than asyncio."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werkzeug.datastructures import Headers

from ..tasks.functions import is_async
from ..tasks.functions import run_sync as run_sync
from ..tasks.functions import run_sync_iterable as run_sync_iterable
from ..web.headers import decode_headers as decode_headers
from ..web.quart_names import refuse_imports as _refuse_imports

is_coroutine_function = is_async


def file_path_to_path(*paths: str | bytes | os.PathLike[Any]) -> Path:
    """Return the path that the parts make; bytes are in the encoding of the file system."""
    return Path(*map(os.fsdecode, paths))


def encode_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return the headers as ASGI has them: the names in small letters, and both as bytes."""
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


if not TYPE_CHECKING:
    __getattr__ = _refuse_imports(
        __name__,
        {
            "cancel_tasks": "call cancel() of the nursery's cancel_scope",
            "raise_task_exceptions": "a nursery raises the errors of its tasks",
            "observe_changes": "use 'triows dev'",
            "restart": "use 'triows dev'",
            "MustReloadError": "use 'triows dev'",
        },
    )
