"""Tracebacks for whoever wrote the app: its own frames, without those of triows and of libraries."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from traceback import StackSummary, TracebackException

_TRIOWS = str(Path(__file__).parents[1])
_STANDARD = sysconfig.get_path("stdlib")
_INSTALLED = frozenset(("site-packages", "dist-packages"))


def user_traceback(error: BaseException) -> str:
    """Return the traceback of an error, with the frames of the user's files alone.

    Of an error without such a frame it has the last frame, and of a syntax error none: that says itself where it is.
    The errors before it, and those in a group, are shortened likewise.
    """
    shown = TracebackException.from_exception(error, compact=True)
    _shorten(shown)
    if not shown.stack:
        return "".join(shown.format_exception_only())
    return "".join(shown.format())


def _shorten(shown: TracebackException) -> None:
    last = [] if isinstance(shown.exc_type, type) and issubclass(shown.exc_type, SyntaxError) else shown.stack[-1:]
    shown.stack = StackSummary.from_list([frame for frame in shown.stack if not _is_library(frame.filename)] or last)
    for other in (shown.__cause__, shown.__context__, *(shown.exceptions or ())):
        if other is not None:
            _shorten(other)


def _is_library(filename: str) -> bool:
    path = Path(filename)
    if filename.startswith("<frozen ") or not _INSTALLED.isdisjoint(path.parts):
        return True
    return path.is_relative_to(_TRIOWS) or path.is_relative_to(_STANDARD)
