"""Robots and scanners: what is no HTTP, what is no good one, and clients that keep the server waiting."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import trio

from .books import CANCELLED, LOST, answered
from .day_app import TIMEOUT
from .http_client import connected, due, get, request
from .talks import BROKEN, Client, Talk


@dataclass(frozen=True)
class Garbage:
    """What a robot sends.

    :ivar line: what the access log has of it.
    :ivar status: the answer's.
    :ivar goes_on: whether a further request is answered.
    """

    data: bytes
    line: str
    status: int
    goes_on: bool = False


def _head(line: str, *headers: str) -> bytes:
    return "\r\n".join([line, "Host: localhost", *headers]).encode("latin-1") + b"\r\n\r\n"


_GARBAGE = (
    Garbage(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI *", 505),
    Garbage(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), "", 400),
    Garbage(b"SSH-2.0-OpenSSH_9.6\r\n", "SSH-2.0-OpenSSH_9.6", 400),
    Garbage(b"\x00" * 100 + b"\r\n\r\n", "", 400),
    Garbage(b"GET / HTTP/1.1\nHost: a\n\n", "GET /", 400),
    Garbage(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET /", 400),
    Garbage(b"GET / HTTP/1.1\r\n\r\n", "GET /", 400),
    Garbage(_head("GET /" + "a" * 10_000 + " HTTP/1.1"), "GET /" + "a" * (200 - len("GET /")), 414),
    Garbage(_head("GET /flood HTTP/1.1", *["X-A: b"] * 200), "GET /flood", 431),
    Garbage(_head("GET /flood HTTP/1.1", "X-A: " + "b" * 20_000), "GET /flood", 431),
    Garbage(_head("POST /api HTTP/1.1", "Content-Length: 5", "Transfer-Encoding: chunked"), "POST /api", 400),
    Garbage(_head("POST /api HTTP/1.1", "Transfer-Encoding: gzip, chunked"), "POST /api", 501),
    Garbage(_head("POST /api HTTP/1.1", "Content-Length: -1"), "POST /api", 400),
    Garbage(_head("CONNECT example.com:443 HTTP/1.1"), "CONNECT ***", 501),
    Garbage(_head("GET /page HTTP/1.1", "Expect: the unexpected"), "GET /page", 417),
    Garbage(_head("GET /../../etc/passwd HTTP/1.1"), "GET /../../etc/passwd", 404, goes_on=True),
    Garbage(_head("GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1"), "GET /%2e%2e/%2e%2e/etc/passwd", 404, goes_on=True),
    Garbage(_head("GET /wp-login.php HTTP/1.1"), "GET /wp-login.php", 404, goes_on=True),
    Garbage(_head("DELETE /page HTTP/1.1"), "DELETE /page", 405, goes_on=True),
    Garbage(_head("FOO /page HTTP/1.1"), "FOO /page", 405, goes_on=True),
    Garbage(_head("OPTIONS * HTTP/1.1"), "OPTIONS *", 204, goes_on=True),
    Garbage(_head("OPTIONS /page HTTP/1.1"), "OPTIONS /page", 200, goes_on=True),
)


async def scanner(who: Client) -> None:
    """Tries one thing, with a request behind it: that one is answered only where the first one was understood."""
    garbage = who.random.choice(_GARBAGE)
    async with connected(who) as peer:
        assert peer.page is not None
        peer.page.due(garbage.line, answered(garbage.status), visits=())
        behind = due(peer, "GET /page") if garbage.goes_on else None
        await peer.send(garbage.data + get("/page"))
        assert (await peer.read_response()).status == garbage.status, garbage.data[:60]
        if behind is None:
            await peer.read_to_the_end()
        else:
            response = await peer.read_response()
            behind.got(response.status)
            assert response.status == 200


async def many_not_found(who: Client) -> None:
    """A scanner in a hurry."""
    async with connected(who) as peer:
        dues = [due(peer, f"GET /{number}.php") for number in range(100)]
        for one in dues:
            one.visits = ()
        await peer.send(b"".join(get(f"/{number}.php") for number in range(100)))
        for one in dues:
            one.got((await peer.read_response()).status)
            assert one.outcomes == (answered(404),)


async def slowloris(who: Client) -> None:
    """A header line now and then: the head has its time, and no line gives it more."""
    async with connected(who) as peer:
        assert peer.page is not None
        peer.page.due("GET /page", answered(408), visits=())
        with suppress(*BROKEN):
            await peer.send(get("/page")[:-2])
            for _ in range(int(TIMEOUT * 2)):
                await peer.send(b"X-Wait: a little\r\n")
                await trio.sleep(1)
        with suppress(*BROKEN):
            await peer.read_rest()


async def slow_body(who: Client) -> None:
    async with connected(who) as peer:
        due(peer, "POST /upload").got(408, ("cancelled", "timeout"))
        await peer.send(b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nso little")
        assert (await peer.read_response()).status == 408


async def half_open(who: Client) -> None:
    """Connects, and that is all; or after a request nothing more."""
    async with connected(who) as peer:
        if who.random.random() < 0.5:
            await request(peer, "GET /page", get("/page"))
        how = who.random.randrange(3)
        if how == 0:
            await peer.reset()
        elif how == 1:
            peer.finish()
            await peer.read_to_the_end()
        else:
            with trio.fail_after(4 * TIMEOUT):
                await peer.read_to_the_end()


async def half_a_request(who: Client) -> None:
    """Leaves within its head: nothing is logged; or while it waits for a 100 Continue."""
    async with connected(who) as peer:
        if who.random.random() < 0.5:
            await peer.send(get("/page")[: who.random.randrange(1, 20)])
        else:
            one = due(peer, "POST /upload")
            one.outcomes, one.visits = (LOST,), (CANCELLED,)
            await peer.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
            assert (await peer.read_head()).status == 100
        if who.random.random() < 0.5:
            await peer.reset()


ROBOTS: dict[Talk, int] = {
    scanner: 10,
    many_not_found: 1,
    slowloris: 2,
    slow_body: 1,
    half_open: 3,
    half_a_request: 3,
}
