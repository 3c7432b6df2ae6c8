"""A public server's day: who comes, and the restart at its end. The books of it are exact."""

from __future__ import annotations

import signal
import socket
import ssl
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import ClassVar

import trio

from .exact import ExactSoak
from .http_client import connected, due, get, request
from .lateness import WINDOW
from .peer import Place
from .run import SHUTDOWN, STAYING
from .server import Server, running
from .talks import Client, Talk, echo
from .visitors import VISITORS

_LISTEN = 1024
_NEW = 100  # clients that come during the restart


@dataclass
class Day(ExactSoak):
    """The clients of a day are its visitors; each stays a while, and another one comes."""

    plan: ClassVar[str] = "day"
    too_late: ClassVar[float] = 3.0

    _asked_to_stop: bool = False

    def pause(self, random: Random) -> float:
        return random.random() * 2

    def check_books(self) -> None:
        super().check_books()
        # Both sides have the same machine: what holds up the server alone is the server's.
        clients, server = self.late.values()
        if server > clients + self.too_late:
            self.fault(f"the server's event loop was held up for {server:.1f} s within {WINDOW:g} s")

    def talks_to_hold(self) -> dict[Talk, int]:
        return VISITORS

    async def serve(self, context: ssl.SSLContext | None) -> None:
        """Two servers, one after the other, at a socket that they share."""
        with socket.create_server(("127.0.0.1", 0), backlog=_LISTEN) as listener:
            self._place = Place(listener.getsockname()[1], context)
            start = partial(running, [*self._arguments, "--fd", str(listener.fileno())], self, fds=[listener.fileno()])
            async with start() as first:
                await self._soak(first)
                async with trio.open_nursery() as nursery:
                    codes = await self._stay_and_ask(nursery)
                    async with start() as second:
                        await self._hand_over(nursery, first, codes)
                        await self._check_shutdown(second.process)

    async def _stay_and_ask(self, nursery: trio.Nursery) -> list[int]:
        """Those who are there when the restart begins; returns where the close codes of the websockets come to."""
        codes: list[int] = []
        begun = trio.Event()

        async def idling(who: Client) -> None:
            """Has asked, and is idle when the server is asked to stop: the connection is ended, and so it has begun."""
            async with connected(who) as peer:
                while not self._asked_to_stop:  # not for as long as to be idle for too long
                    await request(peer, "GET /page", get("/page"))
                    await trio.sleep(0.2)
                await peer.read_to_the_end()
                begun.set()

        async def asking(who: Client) -> None:
            """Sends the rest of its request when the server is stopping: it is answered, and the end is announced."""
            async with connected(who) as peer:
                one = due(peer, "POST /upload")
                await peer.send(b"POST /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
                while not begun.is_set():
                    await peer.send(b"800\r\n%b\r\n" % bytes(0x800))
                    await trio.sleep(0.2)
                await peer.send(b"0\r\n\r\n")
                response = await peer.read_response()
                one.got(response.status)
                assert response.headers.get("connection") == "close", response.headers
                await peer.read_to_the_end()

        for number in range(STAYING):
            await nursery.start(partial(self._stay, codes, f"before-the-restart-{number}"))
        for number, talk in enumerate((idling, asking, listening) * 5):
            nursery.start_soon(self.hold, talk, self._client_named(f"at-the-restart-{number}"))
        return codes

    async def _hand_over(self, nursery: trio.Nursery, first: Server, codes: list[int]) -> None:
        """The first server ends in order; nobody who comes meanwhile is turned away."""
        async with trio.open_nursery() as coming:
            for number in range(_NEW):
                if number == _NEW // 4:
                    self._asked_to_stop = True
                    first.process.send_signal(signal.SIGTERM)
                coming.start_soon(self.hold, passing, self._client_named(f"during-the-restart-{number}"))
                await trio.sleep(0.02)
            with trio.move_on_after(SHUTDOWN):
                await first.process.wait()
        while nursery.child_tasks:
            await trio.sleep(0.05)
        self.check_end(first.process, codes)
        for number in range(STAYING):  # the websockets come again
            await self.hold(echo, self._client_named(f"after-the-restart-{number}"))

    def _client_named(self, name: str) -> Client:
        return Client(self._place, self, self.random(0), name, books=self.books)


async def listening(who: Client) -> None:
    """Reads a stream while the server is asked to stop: it comes to its end."""
    async with connected(who) as peer:
        await request(peer, "GET /events", get("/events?count=30&pause=0.1"))
        await peer.read_to_the_end()


async def passing(who: Client) -> None:
    """Comes and asks once, at whatever moment."""
    async with connected(who) as peer:
        assert (await request(peer, "GET /page", get("/page"))).status == 200
