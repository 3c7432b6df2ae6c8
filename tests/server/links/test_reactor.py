"""The reactor: what becomes of its links when it is closed, and of the others when one fails."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from triows.server.links.reactor import Reactor
from triows.server.links.socket import SocketLink
from triows.tasks.timers import Timers

from ...support.links import Links, needs_reactor, read_all


@needs_reactor
async def test_closing_the_reactor_drops_its_links() -> None:
    reactor = Reactor()
    ours, theirs = socket.socketpair()
    with theirs:
        ours.setblocking(False)
        link = SocketLink(ours, reactor, Timers())
        reactor.close()
        assert link.is_closed
        assert theirs.recv(1) == b""


async def test_an_error_on_one_link_costs_no_other(
    socket_links: Links, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken, its_client, lost = await socket_links.make()
    _, client, heard = await socket_links.make()

    def fail(self: SocketLink) -> None:
        if self is broken:
            raise ZeroDivisionError
        can_read(self)

    can_read = SocketLink.can_read
    monkeypatch.setattr(SocketLink, "can_read", fail)
    await its_client.send_all(b"boom")
    await client.send_all(b"hello")
    await trio.sleep(1)
    assert broken.is_closed
    assert (lost.lost, heard.data) == (1, b"hello")
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]


@pytest.mark.parametrize("size", [5, 100_000])
async def test_when_sending_fails_the_end_is_found_though_the_socket_goes_on(
    size: int, socket_links: Links, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is when the system has no buffers (ENOBUFS), or a firewall refuses a packet (EPERM)."""

    class Failing(socket.socket):
        def send(self, data: Any, *args: Any) -> int:
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))

        def sendmsg(self, *args: Any) -> int:
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))

    link, client, heard = await socket_links.make(lambda sock: Failing(fileno=sock.detach()))
    await client.send_all(b"before")
    link.write_both(b"head", b"x" * size)
    await trio.sleep(1)
    assert (heard.data, heard.lost) == (b"before", 1)
    link.close()
    assert await read_all(client) == b""


async def test_an_idle_reactor_lets_everybody_sleep(socket_links: Links, autojump_clock: MockClock) -> None:
    await socket_links.make()
    start = trio.current_time()
    await trio.sleep(3600)  # the clock jumps only when nothing runs
    assert trio.current_time() - start == pytest.approx(3600, abs=1)
