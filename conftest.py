"""Runs the Python code of README.md and docs/ as tests, each block where it stands, each document in one namespace.

Blocks that readers do not see (``invisible-code-block``) drive what the visible ones define and check what the text
says of it. They find the helpers below in their namespace.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import trio
from sybil import Sybil
from sybil.integration.pytest import SybilItem
from sybil.parsers import markdown, rest
from trio.testing import MockClock

from triows.testing import TestWebSocket, WebsocketDisconnectError


def drive(function: Callable[..., Awaitable[Any]], *args: Any) -> str:
    """Run an async function on a clock that jumps whenever everybody waits; return what it printed."""
    return _run(function, args, MockClock(autojump_threshold=0), 10_000)


def drive_for_real(function: Callable[..., Awaitable[Any]], *args: Any) -> str:
    """The same on the real clock, which sockets and threads need."""
    return _run(function, args, None, 30)


def _run(
    function: Callable[..., Awaitable[Any]], args: tuple[Any, ...], clock: MockClock | None, timeout: float
) -> str:
    async def main() -> None:
        with trio.fail_after(timeout):
            await function(*args)

    with redirect_stdout(io.StringIO()) as output:
        trio.run(main, clock=clock)
    return output.getvalue()


async def closed_with(ws: TestWebSocket, code: int, reason: str | None = None) -> None:
    """Wait for the server's Close frame."""
    with pytest.raises(WebsocketDisconnectError):
        await ws.receive()
    assert ws.close_code == code
    assert reason is None or ws.close_reason == reason


@contextmanager
def logged(*loggers: str, level: int = logging.WARNING) -> Iterator[list[str]]:
    """Collect what is logged in the block: by the server and by the document's apps, or by the loggers named."""
    lines: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Collector()
    sources = [logging.getLogger(name) for name in loggers or ("triows.error", "document")]
    levels = [source.level for source in sources]
    for source in sources:
        source.addHandler(handler)
        source.setLevel(level)
    try:
        yield lines
    finally:
        for source, old_level in zip(sources, levels, strict=True):
            source.removeHandler(handler)
            source.setLevel(old_level)


def provide(namespace: dict[str, Any]) -> None:
    """Put into a document's namespace what its invisible blocks use."""
    namespace.update(
        __name__="document",
        root=_HERE,
        drive=drive,
        drive_for_real=drive_for_real,
        closed_with=closed_with,
        logged=logged,
    )


def _tolerate_chained_errors() -> None:
    """Let sybil show errors with a cause: it looks for a frame of its own in each, and the causes have none."""
    cut = SybilItem._traceback_filter

    def traceback_filter(self: SybilItem, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:
        try:
            return cut(self, excinfo)
        except IndexError:
            return excinfo.traceback

    SybilItem._traceback_filter = traceback_filter  # type: ignore[method-assign]


_tolerate_chained_errors()
_HERE = Path(__file__).parent

pytest_collect_file = (
    Sybil(
        parsers=[rest.PythonCodeBlockParser(), rest.SkipParser()],
        path=str(_HERE / "docs"),
        patterns=["*.rst"],
        setup=provide,
    )
    + Sybil(
        parsers=[markdown.PythonCodeBlockParser(), markdown.SkipParser()],
        path=str(_HERE),
        filenames=["README.md"],
        setup=provide,
    )
).pytest()
