"""What the clients do: each talk is one connection, of which the client knows what is due."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from math import inf
from random import Random
from typing import Any, Protocol

import trio

from ..support.wire import BINARY, TEXT, Gone, close_frame, frame, upgrade
from .app import HEAD_TIMEOUT, LARGEST, STALLED_AFTER
from .books import Books, Page
from .http_client import connected, get
from .ledger import ClientSide, Reading, make_message
from .peer import Closed, Peer, Place

BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError, Gone)


class Judge(Protocol):
    """Who compares, and counts what the server's log must have."""

    async def compare(self, client: ClientSide, page: Page | None = None) -> None:
        """Wait for the server's ledger of this connection, and compare."""

    def expect(self, kind: str) -> None:
        """The log gets one record of this kind."""


@dataclass
class Client:
    """One connection's client, before it has connected.

    :ivar name: names its connection, if it becomes a websocket.
    :ivar until: when it should come to an end, in Trio's time.
    :ivar books: where its connections are entered, if anywhere.
    """

    place: Place
    judge: Judge
    random: Random
    name: str
    until: float = 0.0
    books: Books | None = None

    async def connect(self, *, narrow: bool = False) -> Peer:
        """Make one connection; where books are kept, it has its page."""
        page = None if self.books is None else self.books.open(self.name)
        return await Peer.connect(self.place, page, narrow=narrow)


Talk = Callable[[Client], Awaitable[None]]
Beat = Callable[[], Awaitable[bool]]


def some_size(random: Random, largest: int = LARGEST) -> int:
    """Mostly small, now and then as large as may be."""
    return min(int(2 ** (random.random() ** 2 * 21.5)) - 1, largest)


# Websockets


async def read_messages(peer: Peer, client: ClientSide, unwrap: Callable[[Any], Any]) -> None:
    """Read until the server's Close frame or the end, and note what came."""
    reading = Reading(client.connection)
    try:
        while True:
            reading.read(unwrap(await peer.receive_message()))
    except Closed as closed:
        client.close = closed.code
        if client.end == "server":
            await peer.send(close_frame(closed.code))
        await peer.read_to_the_end()
    except BROKEN:
        pass
    finally:
        client.received, client.faults = reading.count, client.faults + reading.faults


FAULTS = {
    1002: frame(3, b"no such opcode"),
    1007: frame(TEXT, b"\xff\xff"),
    1009: frame(BINARY, b"", length=b"\x7f\x40" + bytes(7)),
}


@cache
def compressed_zeros(size: int) -> bytes:
    """A frame with so many zeros."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    payload = (deflater.compress(bytes(size)) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
    return frame(BINARY, payload, reserved=0x40)


async def end_talk(peer: Peer, client: ClientSide, random: Random, reading: trio.CancelScope) -> None:
    peer.closing = True
    if client.end == "close":
        client.code = random.choice([1000, 1001, 3000, 4999])
        await peer.send(close_frame(client.code, random.choice(["", "bye", "€" * 41])))
    elif client.end == "fault":
        client.code = random.choice(list(FAULTS))
        await peer.send(FAULTS[client.code])
    elif client.end == "fin":
        peer.finish()
    elif client.end == "reset":
        reading.cancel()
        await peer.reset()


def _so_many(count: int, random: Random) -> Beat:
    """So many messages, one behind the other, with a pause now and then."""
    left = count

    async def beat() -> bool:
        nonlocal left
        if left < count and random.random() < 0.1:
            await trio.sleep(random.random() / 20)
        left -= 1
        return left >= 0

    return beat


async def converse(
    who: Client,
    path: str,
    ends: str,
    *,
    messages: int | Beat,
    largest: int = LARGEST,
    text: bool | None = None,
    answers: bool = False,
    code: int | None = None,
    wrap: Callable[[Any], Any] = lambda message: message,
    unwrap: Callable[[Any], Any] = lambda message: message,
    narrow: bool = False,
    rate: float = inf,
) -> None:
    """Send messages while others are read, end, and compare.

    :param ends: the ways to choose from.
    :param messages: how many, or what is waited for before each, and says whether there is one.
    :param rate: how fast they are read until the end, in bytes a second.
    """
    random = who.random
    beat = messages if callable(messages) else _so_many(messages, random)
    client = ClientSide(who.name, path, random.choice(ends.split()), code=code, answers=answers)
    client.keeps_up = largest <= 5000 and rate == inf and not path.startswith("/push")
    peer = await who.connect(narrow=narrow)
    try:
        await peer.upgrade(f"{path}{'&' if '?' in path else '?'}connection={who.name}", compressed="deflated" in path)
        peer.rate = rate
        async with trio.open_nursery() as nursery:
            reading = trio.CancelScope()

            async def read() -> None:
                with reading:
                    await read_messages(peer, client, unwrap)

            nursery.start_soon(read)
            try:
                while await beat():
                    kind = random.random() < 0.5 if text is None else text
                    message = make_message(who.name, client.sent, some_size(random, largest), text=kind)
                    await peer.send_message(wrap(message), random.choice([0, 0, 0, 1, 7]), pings=random.random() < 0.2)
                    client.sent += 1
                peer.rate = inf
                await end_talk(peer, client, random, reading)
            except BROKEN as error:
                client.faults.append(f"cannot send on: {error}")
    finally:
        await peer.drop()
    await who.judge.compare(client, peer.page)


async def echo(who: Client) -> None:
    await converse(who, "/echo", "close fin reset fault", messages=who.random.randrange(12), answers=True)


async def many(who: Client) -> None:
    count = who.random.randrange(300)
    await converse(who, "/echo", "close fin reset fault", messages=count, largest=200, answers=True)


async def deflated(who: Client) -> None:
    await converse(who, "/deflated", "close fin reset fault", messages=who.random.randrange(12), answers=True)


async def slow(who: Client) -> None:
    count = who.random.randrange(40)
    await converse(who, "/slow", "close fin reset fault", messages=count, largest=2000, answers=True)


async def pieces(who: Client) -> None:
    await converse(who, "/pieces", "close fin reset fault", messages=who.random.randrange(6), answers=True)


async def deflated_pieces(who: Client) -> None:
    await converse(who, "/deflated-pieces", "close fin reset fault", messages=who.random.randrange(6), answers=True)


async def both(who: Client) -> None:
    await converse(who, "/both", "close fin reset fault", messages=who.random.randrange(50), largest=3000)


async def push(who: Client) -> None:
    random = who.random
    code = random.choice([1000, 1001, 4000])
    path = f"/push?count={random.randrange(200)}&size={some_size(random, 20_000)}&code={code}"
    await converse(who, path, "server", messages=0, code=code)


async def leave_a_push(who: Client) -> None:
    # Large ones: all that the kernel holds is still to be read, and under TLS that is a record a turn of this loop.
    await converse(who, "/push?count=1000000&size=16000&code=1000", "close fin reset fault", messages=0)


async def json(who: Client) -> None:
    from json import dumps, loads

    await converse(
        who,
        "/json",
        "close fin reset fault",
        messages=who.random.randrange(30),
        largest=1000,
        text=True,
        answers=True,
        wrap=lambda message: dumps({"message": message}),
        unwrap=lambda message: loads(message)["message"],
    )


async def raises(who: Client) -> None:
    count = who.random.randrange(5)
    who.judge.expect("provoked")
    await converse(who, f"/raises?count={count}", "server", messages=count, largest=200, answers=True, code=1011)


async def swallows(who: Client) -> None:
    who.judge.expect("swallowed")
    count = who.random.randrange(5)
    await converse(who, "/swallows", "close fin reset", messages=count, largest=200, answers=True)


async def read_nothing(who: Client) -> None:
    """Let the server push until it gives up, or leave before."""
    client = ClientSide(who.name, "/push, unread", "reset")
    peer = await who.connect()
    try:
        await peer.upgrade(f"/push-impatiently?count=1000000&size=20000&code=1000&connection={who.name}")
        await trio.sleep(STALLED_AFTER * who.random.choice([0.1, 1.5]))
        await peer.reset()
    finally:
        await peer.drop()
    await who.judge.compare(client, peer.page)


async def read_slowly(who: Client) -> None:
    """Read now and then: the server waits, and gives nothing up."""
    client = ClientSide(who.name, "/push, read slowly", "server", code=1000)
    peer = await who.connect()
    try:
        await peer.upgrade(f"/push?count=60&size=20000&code=1000&connection={who.name}")
        reading = Reading(who.name)
        try:
            while True:
                reading.read(await peer.receive_message())
                await trio.sleep(0.02)
        except Closed as closed:
            client.close = closed.code
            await peer.send(close_frame(closed.code))
            await peer.read_to_the_end()
        client.received, client.faults = reading.count, reading.faults
    finally:
        await peer.drop()
    await who.judge.compare(client, peer.page)


async def leave_within_a_message(who: Client) -> None:
    """What was whole before is handled; the rest is nobody's."""
    client = ClientSide(who.name, "/echo, left within a message", who.random.choice(["fin", "reset"]))
    peer = await who.connect()
    try:
        await peer.upgrade(f"/echo?connection={who.name}")
        for _ in range(3):
            await peer.send_message(make_message(who.name, client.sent, 50, text=True), 0)
            client.sent += 1
        whole = frame(BINARY, bytes(make_message(who.name, 3, 5000, text=False)))  # type: ignore[arg-type]
        await peer.send(whole[: who.random.randrange(1, len(whole))])
        scope = trio.CancelScope()
        await end_talk(peer, client, who.random, scope)
        if client.end == "fin":
            await read_messages(peer, client, lambda message: message)
    finally:
        await peer.drop()
    await who.judge.compare(client, peer.page)


# Handshakes that come to nothing


async def refused(who: Client) -> None:
    async with connected(who) as peer:
        await peer.send(upgrade("/refused"))
        response = await peer.read_response()
        assert (response.status, response.body) == (403, b"not you"), (response.status, response.body)


async def foreign_origin(who: Client) -> None:
    who.judge.expect("origin")
    async with connected(who) as peer:
        await peer.send(upgrade("/echo?connection=nobody", "Origin: https://evil.example"))
        assert (await peer.read_response()).status == 403


async def broken_handshake(who: Client) -> None:
    head = upgrade("/echo?connection=nobody").replace(b"Version: 13", b"Version: 12")
    async with connected(who) as peer:
        await peer.send(head)
        assert (await peer.read_response()).status == 426


async def half_a_handshake(who: Client) -> None:
    head = upgrade("/echo?connection=nobody")
    async with connected(who) as peer:
        await peer.send(head[: who.random.randrange(len(head) - 1)])
        if who.random.random() < 0.5:
            await peer.reset()


# HTTP


async def requests(who: Client) -> None:
    """Several on one connection, one after the other or all at once."""
    count = who.random.randrange(1, 20)
    async with connected(who) as peer:
        if who.random.random() < 0.5:
            await peer.send(b"".join(get(f"/?say={number}") for number in range(count)))
            for number in range(count):
                assert (await peer.read_response()).body == b"%d" % number
        else:
            for number in range(count):
                await peer.send(get(f"/?say={number}"))
                assert (await peer.read_response()).body == b"%d" % number


async def upload(who: Client) -> None:
    random = who.random
    digest, size = hashlib.sha256(), 0
    async with connected(who) as peer:
        await peer.send(b"POST /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(random.randrange(20)):
            piece = random.randbytes(random.randrange(1, 30_000))
            digest.update(piece)
            size += len(piece)
            await peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        if random.random() < 0.2:
            await peer.reset()
            return
        await peer.send(b"0\r\n\r\n" + get("/?say=next"))
        body = (await peer.read_response()).body
        assert digest.hexdigest().encode() in body, "the upload arrived otherwise"
        assert b'"size":%d' % size in body.replace(b" ", b"")
        assert (await peer.read_response()).body == b"next"


async def download(who: Client) -> None:
    count = who.random.randrange(300)
    async with connected(who) as peer:
        await peer.send(get(f"/download?count={count}"))
        if who.random.random() < 0.3:
            await peer.read_head()
            await peer.reset()
            return
        body = (await peer.read_response()).body
        assert body == b"".join(b"%0999d\n" % number for number in range(count)), "the download is not what it was"


async def failing_request(who: Client) -> None:
    who.judge.expect("provoked")
    async with connected(who) as peer:
        await peer.send(get("/raise"))
        assert (await peer.read_response()).status == 500


_GARBAGE = (
    b"\x00" * 100 + b"\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n",
)


async def garbage(who: Client) -> None:
    """An error, and nothing behind it is answered."""
    async with connected(who) as peer:
        await peer.send(who.random.choice(_GARBAGE) + get("/"))
        assert 400 <= (await peer.read_response()).status < 500
        await peer.read_to_the_end()


async def slow_head(who: Client) -> None:
    """Byte by byte: too slow, or done in time."""
    async with connected(who) as peer:
        head = get("/?say=slow")
        in_time = who.random.random() < 0.7
        try:
            for index in range(len(head) if in_time else 6):
                await peer.send(head[index : index + 1])
                await trio.sleep(0.002 if in_time else HEAD_TIMEOUT / 4)
        except BROKEN:
            pass
        if not in_time:
            await peer.read_rest()
        elif await _answered(peer) != 200:
            pass  # on a machine this slow it was too slow, too


async def _answered(peer: Peer) -> int:
    try:
        return (await peer.read_response()).status
    except BROKEN:
        return 0


async def say_nothing(who: Client) -> None:
    async with connected(who) as peer:
        await trio.sleep(who.random.random())
        if who.random.random() < 0.5:
            await peer.reset()


async def not_tls(who: Client) -> None:
    """On a port that speaks TLS: bytes that are no TLS, or a handshake that goes no further."""
    stream = await trio.open_tcp_stream("127.0.0.1", who.place.port)
    peer = Peer(stream, stream)
    try:
        await peer.send(
            who.random.choice([get("/"), who.random.randbytes(300), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
        )
        if who.random.random() < 0.5:
            await peer.reset()
        else:
            peer.finish()
            await peer.read_rest()
    except BROKEN:
        pass
    finally:
        await peer.drop()


TALKS: dict[Talk, int] = {
    echo: 8,
    many: 6,
    deflated: 6,
    slow: 6,
    pieces: 5,
    deflated_pieces: 4,
    both: 6,
    push: 5,
    leave_a_push: 4,
    json: 4,
    raises: 2,
    swallows: 2,
    read_nothing: 1,
    read_slowly: 2,
    leave_within_a_message: 3,
    refused: 2,
    foreign_origin: 2,
    broken_handshake: 2,
    half_a_handshake: 2,
    requests: 6,
    upload: 4,
    download: 4,
    failing_request: 2,
    garbage: 4,
    slow_head: 1,
    say_nothing: 2,
}
"""Each talk and its weight; under TLS :func:`not_tls` comes to them."""
