"""While a command loads the app that it is going to serve, a call of ``app.run()`` in the app's file is ignored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ...tasks.error_log import error_log

_loading = False


@contextmanager
def loading() -> Iterator[None]:
    """In the block, a command loads the app that it is going to serve: :func:`ignores_run` says so."""
    global _loading
    _loading = True
    try:
        yield
    finally:
        _loading = False


def ignores_run(caller: FrameType) -> bool:
    """Whether ``app.run()`` does nothing, as in a module that the command loads; the log says it then.

    :param caller: where it is called.
    """
    if _loading:
        error_log.warning(
            "app.run() at %s:%d is ignored: the command that loads this file serves the app itself;"
            " call app.run() under 'if __name__ == \"__main__\":'",
            caller.f_code.co_filename,
            caller.f_lineno,
        )
    return _loading
