"""A server over TLS: what a client that is slow, silent or gone costs, and how a connection ends in order.

Tests triows/server/links/tls.py.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows.server.links import reactor
from triows.server.listeners import open_listeners
from triows.server.serving import Server

from ...support.guard import fail_when_it_hangs
from ...support.http import get
from ...support.tls import Client
from ...support.wire import Wire
from ..app import make_app

pytestmark = pytest.mark.skipif(not reactor.AVAILABLE, reason="there is no reactor on this platform")


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


@asynccontextmanager
async def serving(server_context: ssl.SSLContext, path: Path) -> AsyncIterator[tuple[Server, Any]]:
    """A server on a Unix socket, which needs no time, and how to connect to it."""
    address = f"unix:{path / 'socket'}"
    async with trio.open_nursery() as nursery:
        guard = trio.CancelScope()
        nursery.start_soon(fail_when_it_hangs, guard)
        server = Server(make_app(head_timeout=10), ssl_context=server_context)
        await nursery.start(server.run, await open_listeners(address, 0))
        yield server, lambda: trio.open_unix_socket(path / "socket")
        server.shutdown()
        guard.cancel()


async def test_a_client_that_never_begins_the_handshake_is_dropped_at_the_head_timeout(
    server_context: ssl.SSLContext, tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with serving(server_context, tmp_path) as (_, connect):
        stream = await connect()
        start = trio.current_time()
        assert await stream.receive_some() == b""
        assert trio.current_time() - start == pytest.approx(10)
        await stream.aclose()


async def test_a_slow_handshake_is_dropped_at_the_head_timeout_whatever_arrives(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext, tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with serving(server_context, tmp_path) as (_, connect):
        client = Client(await connect(), client_context)
        start = trio.current_time()
        with pytest.raises(ssl.SSLWantReadError):
            client.tls.do_handshake()
        hello = client.outgoing.read()
        with trio.move_on_after(60):
            async with trio.open_nursery() as nursery:

                async def trickle() -> None:
                    for byte in hello:
                        await client.stream.send_all(bytes([byte]))
                        await trio.sleep(0.5)

                nursery.start_soon(trickle)
                assert await client.stream.receive_some() == b""
                nursery.cancel_scope.cancel()
        assert trio.current_time() - start == pytest.approx(10)
        await client.stream.aclose()


async def test_a_client_silent_after_the_handshake_is_dropped_in_order(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext, tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with serving(server_context, tmp_path) as (_, connect):
        client = Client(await connect(), client_context)
        start = trio.current_time()
        await client.handshake()
        await client.read_end()
        assert trio.current_time() - start == pytest.approx(10)
        await client.stream.aclose()


async def test_a_last_response_is_followed_by_a_clean_end(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext, tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with serving(server_context, tmp_path) as (_, connect):
        # Not https_compatible: an end without a close_notify would be an error here.
        stream = trio.SSLStream(await connect(), client_context, server_hostname="localhost")
        wire = Wire(stream)
        await wire.send(get("/", "Connection: close"))
        assert (await wire.read_response()).body == b"hello"
        assert await stream.receive_some() == b""
        await stream.aclose()


async def test_a_close_frame_is_followed_by_a_clean_end(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext, tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with serving(server_context, tmp_path) as (server, connect):
        stream = trio.SSLStream(await connect(), client_context, server_hostname="localhost")
        wire = Wire(stream)
        await wire.handshake("/ws")
        server.shutdown()
        assert await wire.read_close() == (1001, "")
        await wire.send(bytes.fromhex("888212345678") + bytes([0x03 ^ 0x12, 0xE9 ^ 0x34]))
        assert await stream.receive_some() == b""
        await stream.aclose()


async def test_a_server_knows_that_its_clients_are_secure(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext, tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with serving(server_context, tmp_path) as (server, connect):
        client = Client(await connect(), client_context)
        await client.handshake()
        assert [connection.endpoints.secure for connection in server._connections] == [True]
        await client.stream.aclose()


async def test_listeners_with_tls_of_their_own_are_served_too(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    listeners = [trio.SSLListener(one, server_context) for one in await open_listeners("127.0.0.1", 0)]
    async with trio.open_nursery() as nursery:
        server = await nursery.start(make_app().serve_listeners, listeners)
        stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        wire = Wire(trio.SSLStream(stream, client_context, server_hostname="localhost"))
        await wire.handshake("/ws")
        await wire.send_text("hello")
        assert await wire.read_text() == "hello"
        await wire.close()
        server.shutdown()


async def test_an_end_of_the_client_within_the_handshake_costs_nothing(
    server_context: ssl.SSLContext, tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(server_context, tmp_path) as (server, connect):
        stream = await connect()
        await stream.send_all(b"\x16\x03\x01\x00\xff")
        await wait_all_tasks_blocked()
        assert server.connections == 1
        await stream.aclose()
        await wait_all_tasks_blocked()
        assert server.connections == 0
    assert caplog.records == []
