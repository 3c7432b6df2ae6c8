"""Health: the answers to the probes of orchestrators and load balancers.

A probe is answered before anything else is looked at: no route, hook, session or trusted host is in its way, and a
request of a probe costs the app nothing but its checks.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from logging import Logger
from typing import Any, Protocol

import trio

from ..connection.base import Connection
from ..connection.checks import seconds
from ..connection.http import HTTPConnection
from ..connection.logs import Notices
from ..connection.stats import Counters
from ..tasks.functions import describe, is_async
from .contexts import AsyncContext

Check = Callable[[], Awaitable[object]]
Handle = Callable[[Connection], Coroutine[Any, Any, None]]
_Answer = tuple[int, Mapping[str, object]]

_METHODS = ("GET", "HEAD")


class HealthyApp(Protocol):
    """The app whose health is asked for."""

    counters: Counters
    notices: Notices

    @property
    def logger(self) -> Logger: ...
    @property
    def is_ready(self) -> bool: ...
    def app_context(self) -> AsyncContext: ...


class Health:
    """Answers the probes of an app, and hands every other connection on.

    :param live: the path that answers 200; None for no such path.
    :param ready: the path that answers 200 or 503; None for no such path.
    :param checks: what has to be well for the app to be ready, by name.
    :param timeout: seconds that each check may take.
    :param handle: takes the other connections.
    """

    def __init__(
        self,
        app: HealthyApp,
        live: str | None,
        ready: str | None,
        checks: Mapping[str, Check],
        timeout: float,
        handle: Handle,
    ) -> None:
        for name, check in checks.items():
            if not callable(check) or not is_async(check):
                raise TypeError(
                    f"the check {name!r} is {describe(check)}; it must be an async function without arguments"
                )
        if seconds("timeout", timeout) is None:
            raise TypeError("timeout is None; it must be a number of seconds: a probe is not to wait for ever")
        self._app = app
        self._checks = dict(checks)
        self._timeout = timeout
        self._handle = handle
        self._answers: dict[str, Callable[[HTTPConnection], Awaitable[_Answer]]] = {}
        for path, answer in ((live, self._live), (ready, self._ready)):
            if path is not None:
                if not path.startswith("/") or path in self._answers:
                    raise ValueError(f"{path!r} is no path for a probe: it begins with '/', and each has its own")
                self._answers[path] = answer

    @property
    def paths(self) -> list[str]:
        """The paths that are answered."""
        return list(self._answers)

    def handle(self, connection: Connection) -> Coroutine[Any, Any, None]:
        """Answer a probe, or let the app handle the connection."""
        answer = self._answers.get(connection.head.path)
        if answer is None or not isinstance(connection, HTTPConnection):
            return self._handle(connection)
        return self._respond(connection, answer)

    async def _respond(
        self, connection: HTTPConnection, answer: Callable[[HTTPConnection], Awaitable[_Answer]]
    ) -> None:
        connection.count(self._app.counters)
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        if connection.head.method in _METHODS:
            status, value = await answer(connection)
        else:
            status, value = 405, {"status": "method not allowed"}
            headers.append((b"allow", b"GET, HEAD"))
        if status == 200:
            connection.keep_out_of_log()
        await connection.send_response(status, headers, json.dumps(value).encode() + b"\n")

    async def _live(self, connection: HTTPConnection) -> _Answer:
        return 200, {"status": "live"}

    async def _ready(self, connection: HTTPConnection) -> _Answer:
        if connection.draining:
            return 503, {"status": "stopping"}
        if not self._app.is_ready:
            return 503, {"status": "not serving"}
        if not self._checks:
            return 200, {"status": "ready"}
        results = dict.fromkeys(self._checks, "timeout")
        async with self._app.app_context(), trio.open_nursery() as nursery:
            for name in self._checks:
                nursery.start_soon(self._run_check, name, results)
        if all(result == "ok" for result in results.values()):
            return 200, {"status": "ready", "checks": results}
        return 503, {"status": "failing", "checks": results}

    async def _run_check(self, name: str, results: dict[str, str]) -> None:
        error: Exception | None = None
        with trio.move_on_after(self._timeout):
            try:
                results[name] = "ok" if await self._checks[name]() is not False else "failed"
            except Exception as raised:
                results[name], error = "failed", raised
        if results[name] != "ok" and self._app.notices.is_due("readiness", name):
            self._app.logger.warning("the readiness check %r is not well: %s", name, results[name], exc_info=error)
