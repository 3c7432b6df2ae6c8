"""Accepting: what a server does with more clients than it may have, or can."""

from __future__ import annotations

import errno
import logging
import socket
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from ..support.http import ask
from .app import connect_tcp, make_app


async def test_beyond_max_connections_a_client_may_send_its_body_before_it_reads_the_503() -> None:
    app = make_app(max_connections=1)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(app.serve, "127.0.0.1", 0)
        accepted = await connect_tcp(server)
        assert (await ask(accepted)).status == 200
        for _ in range(10):
            refused = await connect_tcp(server)
            head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
            await wait_all_tasks_blocked()
            await refused.send(head)
            await refused.send(b"x" * 1_000_000)
            assert (await refused.read_response()).status == 503
            await refused.read_end()
            await refused.stream.aclose()
        await accepted.stream.aclose()
        server.shutdown()


async def test_clients_that_were_turned_away_do_not_hold_up_the_shutdown() -> None:
    app = make_app(max_connections=1)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(app.serve, "127.0.0.1", 0)
        accepted = await connect_tcp(server)
        assert (await ask(accepted)).status == 200
        refused = await connect_tcp(server)
        assert (await refused.read_response()).status == 503
        server.shutdown()
        await accepted.read_end()
    with pytest.raises(trio.BrokenResourceError):
        for _ in range(10):
            await refused.send(b"x")
            await wait_all_tasks_blocked()
    await accepted.stream.aclose()
    await refused.stream.aclose()


async def test_beyond_max_connections_a_client_gets_503_with_retry_after() -> None:
    app = make_app(max_connections=2)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(app.serve, "127.0.0.1", 0)
        accepted = [await connect_tcp(server) for _ in range(2)]
        for wire in accepted:
            assert (await ask(wire)).status == 200
        refused = await connect_tcp(server)
        response = await ask(refused)
        assert response.status == 503
        assert int(response.headers["retry-after"]) > 0
        assert response.headers["connection"] == "close"
        await refused.read_end()
        await refused.stream.aclose()
        await accepted[0].stream.aclose()
        while server.connections == 2:
            await trio.lowlevel.checkpoint()
        again = await connect_tcp(server)
        assert (await ask(again)).status == 200
        await again.stream.aclose()
        await accepted[1].stream.aclose()
        server.shutdown()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
async def test_without_descriptors_accepting_is_tried_on_and_complained_of_once_a_second(
    number: int, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    accept = socket.socket.accept
    times: list[float] = []

    def failing(self: socket.socket) -> Any:
        if not times or trio.current_time() - times[0] < 2.5:
            times.append(trio.current_time())
            raise OSError(number, "no more of these")
        return accept(self)

    async with trio.open_nursery() as nursery:
        server = await nursery.start(make_app().serve, "127.0.0.1", 0)
        monkeypatch.setattr(socket.socket, "accept", failing)
        with caplog.at_level(logging.ERROR):
            wire = await connect_tcp(server)
            assert (await ask(wire)).status == 200
        await wire.stream.aclose()
        server.shutdown()
    assert 10 < len(times) < 50
    assert [record.getMessage() for record in caplog.records] == [
        "cannot accept clients (no more of these); trying on"
    ] * 3


async def test_a_client_that_is_gone_before_it_is_accepted_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    accept = socket.socket.accept
    failures = [ConnectionAbortedError(errno.ECONNABORTED, "gone")] * 3

    def failing(self: socket.socket) -> Any:
        if failures:
            raise failures.pop()
        return accept(self)

    async with trio.open_nursery() as nursery:
        server = await nursery.start(make_app().serve, "127.0.0.1", 0)
        monkeypatch.setattr(socket.socket, "accept", failing)
        wire = await connect_tcp(server)
        assert (await ask(wire)).status == 200
        await wire.stream.aclose()
        server.shutdown()
