"""The transports: the same tests over each of them.

``tcp`` and ``tls`` are the reactor, ``tasks`` and ``tls-tasks`` the same sockets without it, ``memory`` is a stream,
``hypercorn`` is a real ``hypercorn -k trio`` process. What ASGI cannot express is listed where it is left out, with
``@native_only`` and the reason.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import trio
import trustme

from triows import Triows
from triows.server.listeners import open_listeners
from triows.server.serving import Server
from triows.testing.streams import memory_stream_pair

from ..support import tls
from ..support.processes import end_group, end_with_parent, stays
from ..support.wire import Response, Wire
from .app import LOGGERS, make_app

native_only = pytest.mark.native_only
virtual_clock = pytest.mark.virtual_clock


class Target:
    """A server under test, and how to talk to it.

    :ivar kind: the name of the transport, without what is behind its hyphen.
    :ivar app: the app, where it is in this process.
    """

    def __init__(
        self, kind: str, connect: Callable[[], Any], app: Triows | None = None, server: Server | None = None
    ) -> None:
        self.kind = kind
        self.app = app
        self.server = server
        self._connect = connect
        self.key = uuid4().hex

    async def connect(self) -> Wire:
        return Wire(await self._connect())

    async def websocket(self, path: str, *headers: str, early: bytes = b"") -> Wire:
        wire = await self.connect()
        await wire.handshake(self.with_key(path), *headers, early=early)
        return wire

    def with_key(self, path: str) -> str:
        return f"{path}{'&' if '?' in path else '?'}key={self.key}"

    async def request(self, method: str, path: str, *headers: str, body: bytes | None = None) -> Response:
        wire = await self.connect()
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        await wire.send("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))
        response = await wire.read_response(has_body=method != "HEAD")
        await wire.stream.aclose()
        return response

    async def get(self, path: str) -> Response:
        return await self.request("GET", path)

    async def record(self, word: str) -> list[Any]:
        """What a handler said that began with this word; waits for it."""
        response = await self.get(f"/records/{self.key}/{word}")
        assert response.status == 200, response.body
        return json.loads(response.body)[1:]

    async def records(self) -> list[list[Any]]:
        return json.loads((await self.get(f"/records/{self.key}")).body)

    async def set_event(self) -> None:
        assert (await self.request("POST", f"/events/{self.key}", body=b"")).status == 200

    async def log(self) -> list[str]:
        """What was logged as a warning or worse since the last call."""
        return json.loads((await self.get("/log")).body)

    def disconnect_as_seen(self, code: int, reason: str, kind: str) -> list[Any]:
        """The disconnect that a handler sees on this transport: hypercorn reports all as 1006."""
        return [1006, "", "lost"] if self.kind == "hypercorn" else [code, reason, kind]


@pytest.fixture(scope="session")
def certificate() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def hypercorn() -> Iterator[int]:
    """A hypercorn process for the whole session; its port."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "hypercorn",
            "-k",
            "trio",
            "-b",
            "127.0.0.1:0",
            "tests.behaviour.hypercorn_app:app",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=Path(__file__).parent.parent.parent,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        process_group=0,
        preexec_fn=end_with_parent,
    )
    stays(process)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if match := re.search(r"http://127\.0\.0\.1:(\d+)", line):
            break
    else:
        pytest.fail("hypercorn did not start:\n" + "".join(lines))
    drain = threading.Thread(target=process.stdout.read, daemon=True)
    drain.start()
    yield int(match[1])
    end_group(process)
    drain.join()
    process.stdout.close()


TRANSPORTS = ["tcp", "tasks", "tls", "tls-tasks", "memory", "hypercorn"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test the transports that can express it."""
    if "target" in metafunc.fixturenames:
        transports = TRANSPORTS
        if metafunc.definition.get_closest_marker("native_only"):
            transports = [name for name in transports if name != "hypercorn"]
        if metafunc.definition.get_closest_marker("virtual_clock"):
            transports = ["memory"]
        if named := metafunc.definition.get_closest_marker("transports"):
            transports = list(named.args)
        metafunc.parametrize("target", [_marked(name) for name in transports], indirect=True)


def _marked(transport: str) -> Any:
    """The transport, with a marker for each part of its name: ``-m "not tls"`` leaves out ``tls-tasks`` too."""
    return pytest.param(transport, marks=[getattr(pytest.mark, part) for part in transport.split("-")])


@pytest.fixture
async def target(request: pytest.FixtureRequest) -> AsyncIterator[Target]:
    kind, _, _ = request.param.partition("-")
    if kind == "hypercorn":
        port = request.getfixturevalue("hypercorn")
        target = Target(kind, lambda: trio.open_tcp_stream("127.0.0.1", port))
        await target.log()
        yield target
        return
    app = make_app()
    handler = app.extensions["log"]
    for name in LOGGERS:
        logging.getLogger(name).addHandler(handler)
    try:
        async with trio.open_nursery() as nursery:
            server_context = client_context = None
            if kind == "tls":
                authority = request.getfixturevalue("certificate")
                server_context, client_context = tls.server_context(authority), tls.client_context(authority)
            server = Server(
                app, ssl_context=server_context, use_reactor=False if request.param.endswith("tasks") else None
            )
            listeners = [] if kind == "memory" else await open_listeners("127.0.0.1", 0)
            await nursery.start(server.run, listeners)

            async def connect() -> trio.abc.Stream:
                if kind == "memory":
                    mine, its = memory_stream_pair()
                    nursery.start_soon(server.serve_stream, its)
                    return mine
                stream = await trio.open_tcp_stream("127.0.0.1", server.port)
                if client_context is not None:
                    return trio.SSLStream(stream, client_context, server_hostname="localhost", https_compatible=True)
                return stream

            yield Target(kind, connect, app, server)
            server.shutdown()
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(handler)
