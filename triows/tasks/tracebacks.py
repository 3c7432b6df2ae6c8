"""Tracebacks for the developer of an app: the frames of the app, and those of frameworks folded between them."""

from __future__ import annotations

import builtins
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from traceback import FrameSummary, StackSummary, TracebackException
from typing import Any, NamedTuple

_FRAMEWORKS = (__name__.partition(".")[0], "trio", "outcome", "werkzeug", "jinja2", "click", "blinker", "hypercorn")
FULL_TRACEBACKS = "TRIOWS_FULL_TRACEBACKS"
"""A variable of the environment that keeps the frames of frameworks, if it is not empty."""
# Modules of the standard library that stand between the frames of a framework.
_GLUE = ("contextlib", "functools", "importlib", "runpy", "threading")
_MAX_FRAMES = 60  # of one stack in a text; of a deeper one, both ends are shown


class Fold(NamedTuple):
    """Frames of frameworks in a row.

    :ivar frames: the frames, the outermost first.
    :ivar packages: the names of their packages, each once.
    """

    frames: tuple[FrameSummary, ...]
    packages: tuple[str, ...]

    def __str__(self) -> str:
        count = len(self.frames)
        return f"{count} {'frame' if count == 1 else 'frames'} of {' and '.join(self.packages)}"


def folded(stack: Sequence[FrameSummary]) -> list[FrameSummary | Fold]:
    """Return the frames of a stack, those of frameworks in folds."""
    result: list[FrameSummary | Fold] = []
    run: list[tuple[FrameSummary, str]] = []
    for frame in stack:
        package = _package_of(frame.filename)
        if package is None:
            result += _fold(run)
            run = []
            result.append(frame)
        else:
            run.append((frame, package))
    return [*result, *_fold(run)]


def _fold(run: list[tuple[FrameSummary, str]]) -> list[Fold]:
    if not run:
        return []
    packages = [package for _, package in run if package in _FRAMEWORKS]
    return [Fold(tuple(frame for frame, _ in run), tuple(dict.fromkeys(packages or ["Python"])))]


def format_exception(error: BaseException) -> str:
    """Return the traceback of an error with folds, in the form of :func:`traceback.format_exception`.

    The tree of an exception group is shown as Python does, with the causes and the notes of each exception in it.
    """
    summary = TracebackException.from_exception(error, compact=True)
    for each in walk(summary):
        each.stack = _FoldedStack(each.stack)
    lines = "".join(summary.format())
    # Later Pythons say it in the summary, and 3.11 only where it prints an error by itself.
    hint = suggestion(error) if sys.version_info < (3, 12) else ""
    return f"{lines.rstrip()}{hint}\n" if hint else lines


def suggestion(error: BaseException) -> str:
    """Return ``. Did you mean: 'name'?`` for a name or attribute that there is not, as Python says it, or nothing."""
    name = getattr(error, "name", None)
    if not isinstance(name, str) or not isinstance(error, AttributeError | NameError):
        return ""
    try:
        known = _names_near(error)
    except Exception:  # dir() calls what the class of the object may define
        return ""
    close = get_close_matches(name, (other for other in known if isinstance(other, str) and other != name), n=1)
    return f". Did you mean: {close[0]!r}?" if close and "did you mean" not in str(error).lower() else ""


def _names_near(error: AttributeError | NameError) -> Iterable[Any]:
    if isinstance(error, AttributeError):
        return dir(error.obj)
    inside = error.__traceback__
    if inside is None:
        return ()
    while inside.tb_next is not None:
        inside = inside.tb_next
    return [*inside.tb_frame.f_locals, *inside.tb_frame.f_globals, *dir(builtins)]


def format_from_app(error: BaseException) -> str:
    """Return what :func:`format_exception` does, from the first frame on that is none of a framework's.

    So the way to the app's code is left out, unless ``TRIOWS_FULL_TRACEBACKS`` is set. A syntax error without such a
    frame says itself where it is.
    """
    if os.environ.get(FULL_TRACEBACKS):
        return "".join(traceback.format_exception(error))
    inside = error.__traceback__
    while inside is not None and _package_of(inside.tb_frame.f_code.co_filename) is not None:
        inside = inside.tb_next
    if inside is not None or isinstance(error, SyntaxError):
        error = error.with_traceback(inside)
    return format_exception(error)


def walk(summary: TracebackException) -> Iterator[TracebackException]:
    """Yield an exception, and all that it is a group, a consequence or a follower of."""
    waiting = [summary]
    while waiting:
        current = waiting.pop()
        yield current
        waiting += filter(None, (current.__cause__, current.__context__, *(current.exceptions or ())))


class _FoldedStack(StackSummary):
    """A stack that is written with folds."""

    def format(self, **options: Any) -> list[str]:
        lines: list[str] = []
        pieces = folded(self)
        run: list[FrameSummary] = []  # formatted together, since Python counts repeated ones
        for piece in pieces:
            if isinstance(piece, FrameSummary):
                run.append(piece)
                continue
            lines += StackSummary(run).format(**options)
            run = []
            lines.append(f"  [{piece}{_where(piece) if piece is pieces[-1] else ''}]\n")
        lines += StackSummary(run).format(**options)
        if len(lines) > _MAX_FRAMES:
            half = _MAX_FRAMES // 2
            lines[half:-half] = [f"  [{len(lines) - _MAX_FRAMES} more frames]\n"]
        return lines


def _where(fold: Fold) -> str:
    """Return where the exception was raised: that is worth a word, although it is none of the user's frames."""
    raised = fold.frames[-1]
    return f", to {raised.filename}:{raised.lineno} in {raised.name}"


def _package_of(filename: str) -> str | None:
    """Return the framework, or the module of the standard library, that a frame belongs to; None if it is neither."""
    if filename.startswith("<frozen "):
        return "importlib"
    for place, package in _places().items():
        if filename.startswith(place):
            return package
    return None


@cache
def _places() -> dict[str, str]:
    """The beginnings of the paths of the frameworks' files, and of the standard library's."""
    places = {}
    for package in (*_FRAMEWORKS, *_GLUE):
        module = sys.modules.get(package)
        spec = find_spec(package) if module is None else getattr(module, "__spec__", None)
        if spec is not None and spec.origin is not None:
            path = Path(spec.origin)
            places[f"{path.parent}{os.sep}" if path.name == "__init__.py" else str(path)] = package
    return places
