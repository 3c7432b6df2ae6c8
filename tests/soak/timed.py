"""Short timeouts, each passed several times by clients that are healthy, and met by those that are not.

A healthy client lives for as long as the run lasts, in its own rhythm, and must not be cut off. One that has stalled
must be: with the kind and the words that are due, not before its time, and not much after.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, count, cycle, repeat
from typing import ClassVar

import trio

from ..support.wire import PONG, TEXT, close_frame, frame
from .books import CANCELLED
from .exact import CutOffError, ExactSoak
from .http_client import connected, due, get, request
from .ledger import ClientSide, make_message
from .peer import Closed, Peer
from .talks import BROKEN, Beat, Client, Talk, converse
from .timed_app import LIMITS, RATE, TIMEOUT, WORK_AFTER

BEAT = 0.1
# A burst is under way when a timer is due that was set by one before: so many beats later, and a little more.
_BURST = 400  # messages
_BURST_EVERY = (TIMEOUT - 0.008) / 40
_SLOWLY = 60_000  # bytes a second: the kernels have megabytes on the way, and take more only now and then


# Rhythms


def every(who: Client, *pauses: float) -> Beat:
    """A message after each of these pauses, over and over, until the run is over."""
    waits = cycle(pauses)

    async def beat() -> bool:
        await trio.sleep(next(waits))
        return trio.current_time() < who.until

    return beat


def bursts(who: Client, count: int, pause: float) -> Beat:
    return every(who, *chain([pause], repeat(0.0, count - 1)))


@contextmanager
def _cut_off_after(seconds: float) -> Iterator[None]:
    """The server ends the connection in the block, neither before its time nor much after.

    Its clock begins within the block, so that it cannot be too early for this one's however slow the machine is.
    """
    began = trio.current_time()
    with trio.move_on_after(seconds + 4 * TIMEOUT):
        yield
    _check_time(began, seconds)


def _check_time(began: float, seconds: float) -> None:
    took = trio.current_time() - began
    if not seconds - 0.1 < took < seconds + 2 * TIMEOUT:
        raise CutOffError(f"cut off after {took:.1f} s, and {seconds:.1f} s are due")


# Healthy websockets


async def idle(who: Client) -> None:
    """Says something now and then, and answers Pings."""
    await converse(who, "/echo", "close", messages=every(who, TIMEOUT * 1.3), largest=100, answers=True)


async def firehose(who: Client) -> None:
    """Sends bursts, all clients at the same moments, and reads everything at once."""
    client = ClientSide(who.name, "/firehose", "close", code=1000, answers=True, keeps_up=True)
    peer = await who.connect()
    ended = trio.Event()
    try:
        await peer.upgrade(f"/firehose?connection={who.name}")
        async with trio.open_nursery() as nursery:

            async def read() -> None:
                try:
                    while True:
                        while peer.take(frame(TEXT, b"message %d" % client.received, masked=False)):
                            client.received += 1
                        message = await peer.receive_message()
                        if message != f"message {client.received}":
                            client.faults.append(f"{message!r} came instead of message {client.received}")
                        client.received += 1
                except Closed as closed:
                    client.close = closed.code
                except BROKEN:
                    pass
                ended.set()

            nursery.start_soon(read)
            try:
                while trio.current_time() < who.until and not ended.is_set():
                    await trio.sleep(_BURST_EVERY - trio.current_time() % _BURST_EVERY)
                    numbers = range(client.sent, client.sent + _BURST)
                    await peer.send(b"".join(frame(TEXT, b"message %d" % number) for number in numbers))
                    client.sent += _BURST
                peer.closing = True
                await peer.send(close_frame(1000))
            except BROKEN as error:
                client.faults.append(f"cannot send on: {error}")
    finally:
        await peer.drop()
    await who.judge.compare(client, peer.page)


async def bursty(who: Client) -> None:
    """Many at once, and then nothing for longer than a timeout."""
    await converse(who, "/echo", "close", messages=bursts(who, 60, TIMEOUT * 1.2), largest=5000, answers=True)


async def steady(who: Client) -> None:
    await converse(who, "/echo", "close", messages=every(who, 0.05), largest=500, answers=True)


async def slow_handler(who: Client) -> None:
    await converse(who, "/slow", "close", messages=every(who, 0.2, 1.0), largest=2000, answers=True)


async def large(who: Client) -> None:
    await converse(who, "/echo", "close", messages=every(who, 0.5, 0.0, TIMEOUT), answers=True)


async def deflated(who: Client) -> None:
    beat = bursts(who, 100, 0.5)
    await converse(who, "/deflated", "close", messages=beat, largest=2000, answers=True)


async def in_pieces(who: Client) -> None:
    await converse(who, "/pieces", "close", messages=every(who, 0.3, 0.0, TIMEOUT), largest=100_000, answers=True)


async def both_ways(who: Client) -> None:
    await converse(who, "/both", "close", messages=every(who, 0.01, 0.0, 0.0, 0.0), largest=3000)


async def slow_reader(who: Client) -> None:
    """Reads all the time, more slowly than the server sends."""

    async def beat() -> bool:
        await trio.sleep_until(who.until)
        return False

    path = "/push?count=1000000&size=16000&code=1000"
    await converse(who, path, "close", messages=beat, narrow=True, rate=_SLOWLY)


async def paused(who: Client) -> None:
    """Sends to a handler that works for longer than ping_timeout, and is not read meanwhile."""
    client = ClientSide(who.name, "/busy", "close", code=1000)
    peer = await who.connect()
    try:
        await peer.upgrade(f"/busy?connection={who.name}")
        while trio.current_time() < who.until:
            for _ in range(2 * WORK_AFTER):
                await peer.send_message(make_message(who.name, client.sent, 500, text=True), 0)
                client.sent += 1
            while client.received < client.sent:
                await peer.receive_message()
                client.received += 1
        await peer.send(close_frame(1000))
        await _read_close(peer, client)
    finally:
        await peer.drop()
    await who.judge.compare(client, peer.page)


async def drained(who: Client) -> None:
    """Leaves more than the handler can take within drain_timeout, though it goes on taking it."""
    await converse(who, "/drains", "close", messages=12, largest=100)


async def late_close(who: Client) -> None:
    """Answers the server's Close frame late, and in time."""
    client = ClientSide(who.name, "/closes", "server", code=4000)
    peer = await who.connect()
    try:
        await peer.upgrade(f"/closes?connection={who.name}")
        await _read_close(peer, client)
        await trio.sleep(TIMEOUT / 2)
        await peer.send(close_frame(4000))
        await peer.read_to_the_end()
    finally:
        await peer.drop()
    await who.judge.compare(client, peer.page)


async def _read_close(peer: Peer, client: ClientSide) -> None:
    peer.closing = True
    try:
        raise AssertionError(f"{await peer.receive_message()!r} came instead of a Close frame")
    except Closed as closed:
        client.close = closed.code


# Healthy HTTP


async def keep_alive(who: Client) -> None:
    """Asks again after a pause."""
    async with connected(who) as peer:
        while trio.current_time() < who.until:
            await request(peer, "GET /", get("/?say=again"))
            await trio.sleep(TIMEOUT / 2)


async def pipelined(who: Client) -> None:
    # Few at a time: under TLS each response is a record, and takes the client a turn of its loop.
    async with connected(who) as peer:
        while trio.current_time() < who.until:
            dues = [due(peer, "GET /") for _ in range(10)]
            await peer.send(b"".join(get(f"/?say={number}") for number in range(10)))
            for number, one in enumerate(dues):
                response = await peer.read_response()
                one.got(response.status)
                assert response.body == b"%d" % number
            await trio.sleep(who.random.choice([0.1, 0.1, TIMEOUT / 4]))


async def slow_heads(who: Client) -> None:
    """Each head takes half of its time."""
    async with connected(who) as peer:
        while trio.current_time() < who.until:
            one = due(peer, "GET /")
            for piece in (b"GET /?say=slow HT", b"TP/1.1\r\nHost: local", b"host\r\n\r\n"):
                await trio.sleep(TIMEOUT / 6)
                await peer.send(piece)
            one.got((await peer.read_response()).status)


async def slow_upload(who: Client) -> None:
    """A body at twice the least rate, for many times body_timeout; then another request."""
    digest, size = hashlib.sha256(), 0
    async with connected(who) as peer:
        one = due(peer, "POST /upload")
        await peer.send(b"POST /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        began = trio.current_time()
        while trio.current_time() < who.until:
            piece = who.random.randbytes(int(2 * RATE * (trio.current_time() - began)) - size + 1)
            digest.update(piece)
            size += len(piece)
            await peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            await trio.sleep(BEAT)
        await peer.send(b"0\r\n\r\n")
        response = await peer.read_response()
        one.got(response.status)
        assert digest.hexdigest().encode() in response.body, (response.status, size, response.body)
        await request(peer, "GET /", get("/"))


async def slow_download(who: Client) -> None:
    """Reads as long as the run lasts, more slowly than the server sends, and leaves."""
    async with connected(who, narrow=True) as peer:
        one = due(peer, "GET /download")
        await peer.send(get("/download?count=1000000"))
        peer.rate = _SLOWLY
        await peer.read_head()
        number = 0
        while trio.current_time() < who.until:
            assert await peer.read(1000 + len("3e8\r\n\r\n")) == b"3e8\r\n%0999d\n\r\n" % number
            number += 1
        one.outcomes = ((200, None, "lost"),)
        one.visits = (CANCELLED,)


# Those that have stalled


async def unread(who: Client) -> None:
    """Reads nothing, though it shows signs of life."""
    reason = f"took nothing of what was sent for {TIMEOUT:g} s"
    client = ClientSide(who.name, "/push, unread", "timeout", reason=reason)
    peer = await who.connect()
    try:
        with _cut_off_after(TIMEOUT):
            await peer.upgrade(f"/push?count=1000000&size=20000&code=1000&connection={who.name}")
            async with trio.open_nursery() as nursery:

                async def live() -> None:
                    with suppress(*BROKEN):
                        while True:
                            await peer.send(frame(PONG))
                            await trio.sleep(0.5)

                nursery.start_soon(live)
                await who.judge.compare(client, peer.page)
                nursery.cancel_scope.cancel()
    finally:
        await peer.drop()


async def silent(who: Client) -> None:
    """Answers no Ping."""
    client = ClientSide(who.name, "/echo, silent", "timeout", reason=f"no sign of life for {TIMEOUT:g} s after a ping")
    peer = await who.connect()
    try:
        with _cut_off_after(LIMITS["ping_interval"] + TIMEOUT):
            await peer.upgrade(f"/echo?connection={who.name}")
            await peer.read_rest()
    finally:
        await peer.drop()
    await who.judge.compare(client, peer.page)


async def undrained(who: Client) -> None:
    """Leaves messages to a handler that takes none of them any more."""
    client = ClientSide(who.name, "/drains-nothing", "close", code=1000, handled=1)
    peer = await who.connect()
    try:
        await peer.upgrade(f"/drains-nothing?connection={who.name}")
        for _ in range(5):
            await peer.send_message(make_message(who.name, client.sent, 50, text=True), 0)
            client.sent += 1
        peer.closing = True
        with _cut_off_after(TIMEOUT):
            await peer.send(close_frame(1000))
            await _read_close(peer, client)
            await who.judge.compare(client, peer.page)
    finally:
        await peer.drop()


async def no_close(who: Client) -> None:
    """Does not answer the server's Close frame."""
    client = ClientSide(who.name, "/closes, unanswered", "server", code=4000)
    peer = await who.connect()
    try:
        with _cut_off_after(TIMEOUT):
            await peer.upgrade(f"/closes?connection={who.name}")
            await _read_close(peer, client)
            await peer.read_to_the_end()
    finally:
        await peer.drop()
    await who.judge.compare(client, peer.page)


async def no_head(who: Client) -> None:
    """Says nothing at all, or nothing more: the connection is closed without a word, and nothing is logged."""
    with _cut_off_after(TIMEOUT):
        async with connected(who) as peer:
            if who.random.random() < 0.5:
                await request(peer, "GET /", get("/"))
            await peer.read_to_the_end()


async def half_a_head(who: Client) -> None:
    """On a fresh connection, where the time runs from its beginning, or on a used one: 408."""
    began = trio.current_time()
    async with connected(who) as peer:
        if who.random.random() < 0.5:
            await request(peer, "GET /", get("/"))
            began = trio.current_time()
        one = due(peer, "GET /")
        one.got(408)
        one.visits = ()
        await peer.send(get("/")[:-5])
        assert (await peer.read_response()).status == 408
        _check_time(began, TIMEOUT)
        await peer.read_to_the_end()


async def half_a_body(who: Client) -> None:
    """Sends nothing more, or too little: 408, and the handler is cancelled."""
    trickles = who.random.random() < 0.5
    async with connected(who) as peer:
        due(peer, "POST /upload").got(408, ("cancelled", "timeout"))
        began = trio.current_time()
        await peer.send(b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
        async with trio.open_nursery() as nursery:
            sent = 0

            async def trickle() -> None:
                nonlocal sent
                with suppress(*BROKEN):
                    while trickles:
                        await peer.send(bytes(int(RATE / 2 * BEAT)))
                        sent += int(RATE / 2 * BEAT)
                        await trio.sleep(BEAT)

            nursery.start_soon(trickle)
            assert (await peer.read_response()).status == 408
            # The last piece may have come too late.
            _check_time(began, TIMEOUT + max(sent - RATE * BEAT, 0) / RATE)
            nursery.cancel_scope.cancel()


async def unread_download(who: Client) -> None:
    async with connected(who) as peer:
        one = due(peer, "GET /download")
        one.outcomes = ((200, None, "timeout"),)
        one.visits = (("cancelled", "timeout"),)
        page = peer.page
        assert page is not None
        with _cut_off_after(TIMEOUT):
            await peer.send(get("/download?count=1000000"))
            await peer.read_head()
            while not page.records:
                await trio.sleep(BEAT)


async def stall(who: Client) -> None:
    """A handler that holds up everybody, and is named."""
    await trio.sleep(TIMEOUT)
    who.judge.expect("stalled")
    async with connected(who) as peer:
        await request(peer, "GET /stall", get("/stall"))
    await trio.sleep_until(who.until)


TALKS: dict[Talk, int] = {
    idle: 6,
    firehose: 5,
    bursty: 3,
    steady: 3,
    slow_handler: 2,
    large: 2,
    deflated: 2,
    in_pieces: 2,
    both_ways: 2,
    slow_reader: 2,
    paused: 2,
    drained: 2,
    late_close: 2,
    keep_alive: 4,
    pipelined: 2,
    slow_heads: 2,
    slow_upload: 2,
    slow_download: 2,
    unread: 2,
    silent: 2,
    undrained: 2,
    no_close: 2,
    no_head: 3,
    half_a_head: 3,
    half_a_body: 3,
    unread_download: 2,
    stall: 1,
}
"""Each talk, and how many clients hold it at once, over and over."""


@dataclass
class TimedSoak(ExactSoak):
    """Few clients, most of which stay for as long as the run lasts."""

    plan: ClassVar[str] = "timed"

    async def clients(self, deadline: float) -> None:
        async with trio.open_nursery() as nursery:
            numbers = count()
            for talk, clients in TALKS.items():
                for _ in range(clients):
                    nursery.start_soon(self._again, talk, next(numbers), deadline)

    async def _again(self, talk: Talk, number: int, deadline: float) -> None:
        random = self.random(number)
        times = 0
        while not times or trio.current_time() < deadline - 2 * TIMEOUT:
            await self.hold(talk, Client(self._place, self, random, f"{number}-{times}", deadline, self.books))
            times += 1
