"""Who comes to a public server: browsers, programs, phones, those who wait, and those who leave; robots are apart."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress

import trio

from ..support.wire import BINARY, close_frame, frame, upgrade
from . import talks
from .books import CANCELLED, LOST
from .day_app import LARGEST_BODY, PING_INTERVAL, TIMEOUT, asset
from .http_client import connected, due, get, request
from .ledger import ClientSide, make_message
from .peer import Closed, Peer
from .robots import ROBOTS
from .talks import BROKEN, Client, Talk, converse

_PATIENCE = 20.0  # seconds for what comes at once
_BOMB = 50 << 20


def post(target: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {target} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def recorded(peer: Peer) -> None:
    """Wait until the access log has what is due so far."""
    page = peer.page
    assert page is not None
    with trio.fail_after(_PATIENCE):
        while len(page.records) < len(page.dues):
            await trio.sleep(0.05)


async def leave(peer: Peer, how: str) -> None:
    """Go without another word."""
    if how == "reset":
        await peer.reset()
    elif how == "fin":
        peer.finish()
        with trio.fail_after(_PATIENCE), suppress(*BROKEN):
            await peer.read_rest()
    await peer.drop()


# Browsers


async def browser(who: Client) -> None:
    """A page with its parts over a few connections, kept alive; and a websocket, or not."""
    async with trio.open_nursery() as nursery:
        for number in range(who.random.randrange(1, 5)):
            nursery.start_soon(_browse, who)
            if number == 0 and who.random.random() < 0.4:
                nursery.start_soon(talks.echo, who)


async def _browse(who: Client) -> None:
    random = who.random
    async with connected(who) as peer:
        for _ in range(random.randrange(1, 6)):
            if random.random() < 0.3:
                page = await request(peer, "GET /page", get("/page"))
                assert page.status == 200
            elif random.random() < 0.2:
                head = await request(peer, "HEAD /asset/100", get("/asset/100").replace(b"GET", b"HEAD"))
                assert head.headers["content-length"] == str(len(asset(100)))
            else:
                await _load_parts(peer, [random.choice([0, 1, 9, 30, 80, 99]) for _ in range(random.randrange(1, 6))])
            await trio.sleep(random.choice([0, 0, 0.1, TIMEOUT / 3]))
        if random.random() < 0.3:
            await _reload(who, peer)


async def _load_parts(peer: Peer, numbers: list[int]) -> None:
    """All are asked for at once."""
    dues = [due(peer, f"GET /asset/{number}") for number in numbers]
    await peer.send(b"".join(get(f"/asset/{number}") for number in numbers))
    for number, one in zip(numbers, dues, strict=True):
        response = await peer.read_response()
        one.got(response.status)
        assert response.body == asset(number), f"asset {number} is not what it was"
        assert response.headers.get("connection") != "close"


async def _reload(who: Client, peer: Peer) -> None:
    """Leave in the middle of a response."""
    due(peer, "GET /asset/99")
    peer.page.dues[-1].left()  # type: ignore[union-attr]
    await peer.send(get("/asset/99"))
    if who.random.random() < 0.7:
        await peer.read_head()
    await leave(peer, who.random.choice(["reset", "close"]))


# Programs


async def api_client(who: Client) -> None:
    random = who.random
    async with connected(who) as peer:
        for number in range(random.randrange(1, 15)):
            body = json.dumps({"number": number, "of": who.name}).encode()
            response = await request(peer, "POST /api", post("/api", body, "Content-Type: application/json"))
            assert json.loads(response.body) == {"got": json.loads(body)}, response.body
            await trio.sleep(random.choice([0, 0, 0.2]))


async def wrong_api_client(who: Client) -> None:
    async with connected(who) as peer:
        broken = post("/api", b'{"number": ', "Content-Type: application/json")
        assert (await request(peer, "POST /api", broken, ("raised", None))).status == 400
        assert (await request(peer, "GET /page", get("/page"))).status == 200
        due(peer, "POST /api").got(413)
        peer.page.dues[-1].visits = ()  # type: ignore[union-attr]
        head = f"POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LARGEST_BODY + 1}\r\n\r\n"
        await peer.send(head.encode() + bytes(1000))
        response = await peer.read_response()
        assert (response.status, response.headers.get("connection")) == (413, "close"), response.headers


async def refused_upload(who: Client) -> None:
    """Is told no before its body was read; a further request is answered, unless the end was announced."""
    random = who.random
    body = bytes(random.choice([100, 5000, 60_000, 200_000]))
    async with connected(who) as peer:
        one = due(peer, "POST /refused-upload")
        data = post("/refused-upload", body)
        sent = random.choice([len(data), len(data), data.index(b"\r\n\r\n") + 4])
        await peer.send(data[:sent])
        response = await peer.read_response()
        one.got(response.status)
        assert response.status == 403
        if response.headers.get("connection") == "close":
            with suppress(*BROKEN):
                await peer.send(data[sent:])
        else:
            await peer.send(data[sent:])
            assert (await request(peer, "GET /page", get("/page"))).status == 200


async def abandoned_upload(who: Client) -> None:
    """Leaves in the middle of its body."""
    how = who.random.choice(["fin", "close", "reset"])
    async with connected(who) as peer:
        one = due(peer, "POST /upload")
        one.outcomes, one.visits = (LOST,), (CANCELLED,)
        one.optional = how == "reset"
        await peer.send(post("/upload", bytes(20_000))[: who.random.choice([100, 10_000])])
        await leave(peer, how)
        if how != "reset":
            await recorded(peer)


# Phones


async def slow_download(who: Client) -> None:
    async with connected(who, narrow=True) as peer:
        peer.rate = 200_000
        assert (await request(peer, "GET /asset/99", get("/asset/99"))).body == asset(99)


async def slow_upload(who: Client) -> None:
    digest = hashlib.sha256()
    async with connected(who, narrow=True) as peer:
        one = due(peer, "POST /upload")
        await peer.send(b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40000\r\n\r\n")
        for _ in range(20):
            piece = who.random.randbytes(2000)
            digest.update(piece)
            await peer.send(piece)
            await trio.sleep(0.3)
        response = await peer.read_response()
        one.got(response.status)
        assert digest.hexdigest().encode() in response.body, response.body
        assert (await request(peer, "GET /page", get("/page"))).status == 200


async def slow_websocket(who: Client) -> None:
    path = "/push?count=40&size=20000&code=1000"
    await converse(who, path, "server", messages=0, code=1000, narrow=True, rate=300_000)


# Those who wait


async def long_poll(who: Client) -> None:
    """Gets its news, and asks again."""
    async with connected(who) as peer:
        for _ in range(who.random.randrange(1, 3)):
            assert (await request(peer, "GET /poll", get("/poll?seconds=1"))).body == b"news"


async def impatient_poll(who: Client) -> None:
    """Leaves before there is an answer, soon or together with its request: its handler is cancelled."""
    how = who.random.choice(["fin", "close", "reset"])
    async with connected(who) as peer:
        one = due(peer, "GET /poll")
        one.outcomes, one.visits = (LOST,), (CANCELLED,)
        one.optional = how == "reset"
        await peer.send(get("/poll?seconds=100"))
        await trio.sleep(who.random.choice([0, 0, 0.1, 1]))
        await leave(peer, how)
        if how != "reset":
            await recorded(peer)


async def hasty(who: Client) -> None:
    """Sends its request and its end at once, and may get its answer nevertheless, and have left for the log."""
    async with connected(who) as peer:
        due(peer, "GET /page").left(seen=True)
        await peer.send(get("/page"))
        peer.finish()
        with suppress(*BROKEN):
            with trio.fail_after(_PATIENCE):
                assert (await peer.read_response()).status == 200
        await recorded(peer)


async def stream_reader(who: Client) -> None:
    """Reads a stream to its end, and closes at once behind its last byte."""
    async with connected(who) as peer:
        response = await request(peer, "GET /events", get("/events?count=10&pause=0.05"))
        assert response.body == b"".join(b"data: %d\n\n" % number for number in range(10))


async def download(who: Client) -> None:
    count = who.random.randrange(1, 300)
    async with connected(who) as peer:
        response = await request(peer, "GET /download", get(f"/download?count={count}"))
        assert response.body == b"".join(b"%0999d\n" % number for number in range(count))


async def stream_leaver(who: Client) -> None:
    """Reads a little of an endless stream, and leaves."""
    async with connected(who) as peer:
        one = due(peer, "GET /events")
        one.outcomes, one.visits = ((200, None, "lost"),), (CANCELLED,)
        await peer.send(get("/events?count=1000000&pause=0.05"))
        await peer.read_head()
        await peer.read(who.random.randrange(1, 100))  # its generator has begun
        await leave(peer, who.random.choice(["fin", "close", "reset"]))
        await recorded(peer)


async def failing(who: Client) -> None:
    who.judge.expect("provoked")
    async with connected(who) as peer:
        assert (await request(peer, "GET /raise", get("/raise"), ("raised", None))).status == 500
        assert (await request(peer, "GET /page", get("/page"))).status == 200


# Websockets that are not as they should be


async def twice_closed(who: Client) -> None:
    """Sends two Close frames, and more behind them: the first one counts."""
    client = ClientSide(who.name, "/echo, closed twice", "close", code=1000, answers=True)
    peer = await who.connect()
    try:
        await peer.upgrade(f"/echo?connection={who.name}")
        for _ in range(3):
            await peer.send_message(make_message(who.name, client.sent, 50, text=True), 0)
            client.sent += 1
        peer.closing = True
        await peer.send(close_frame(1000) + close_frame(4999) + frame(BINARY, b"more") + b"\xff" * 20)
        await talks.read_messages(peer, client, lambda message: message)
    finally:
        await peer.drop()
    await who.judge.compare(client, peer.page)


async def bomb(who: Client) -> None:
    """A compressed message that is larger than any may be."""
    client = ClientSide(who.name, "/deflated, a bomb", "fault", code=1009)
    peer = await who.connect()
    try:
        await peer.upgrade(f"/deflated?connection={who.name}", compressed=True)
        await peer.send(talks.compressed_zeros(_BOMB))
        await talks.read_messages(peer, client, lambda message: message)
    finally:
        await peer.drop()
    await who.judge.compare(client, peer.page)


async def bombs_behind_close(who: Client) -> None:
    """Many compressed messages, as large as may be, behind the server's Close frame: nobody needs to inflate them."""
    client = ClientSide(who.name, "/closes-deflated, bombs", "server", code=4000)
    peer = await who.connect()
    try:
        await peer.upgrade(f"/closes-deflated?connection={who.name}", compressed=True)
        peer.closing = True
        await peer.send(talks.compressed_zeros(talks.LARGEST) * 20 + close_frame(4000))
        try:
            await peer.receive_message()
        except Closed as closed:
            client.close = closed.code
        await peer.read_to_the_end()
    finally:
        await peer.drop()
    await who.judge.compare(client, peer.page)


async def vanished(who: Client) -> None:
    """Neither reads nor writes any more: it is noticed by its silence."""
    client = ClientSide(who.name, "/echo, vanished", "timeout", reason="no sign of life")
    peer = await who.connect()
    try:
        await peer.upgrade(f"/echo?connection={who.name}")
        with trio.fail_after(PING_INTERVAL + TIMEOUT + _PATIENCE):
            await who.judge.compare(client, peer.page)
    finally:
        await peer.drop()


async def _refused(who: Client, head: bytes, path: str, status: int) -> None:
    async with connected(who) as peer:
        assert peer.page is not None
        await peer.send(head)
        assert (await peer.read_response()).status == status
        peer.page.handshake(path, status)


async def refused_websocket(who: Client) -> None:
    match who.random.randrange(3):
        case 0:
            await _refused(who, upgrade("/refused"), "/refused", 403)
        case 1:
            who.judge.expect("origin")
            await _refused(who, upgrade("/echo", "Origin: https://evil.example"), "/echo", 403)
        case _:
            await _refused(who, upgrade("/echo").replace(b"Version: 13", b"Version: 12"), "/echo", 426)


VISITORS: dict[Talk, int] = {
    browser: 12,
    api_client: 6,
    wrong_api_client: 2,
    refused_upload: 4,
    abandoned_upload: 3,
    slow_download: 2,
    slow_upload: 2,
    slow_websocket: 2,
    long_poll: 4,
    impatient_poll: 4,
    hasty: 3,
    stream_reader: 4,
    download: 3,
    stream_leaver: 3,
    failing: 2,
    twice_closed: 3,
    bomb: 1,
    bombs_behind_close: 1,
    vanished: 2,
    refused_websocket: 3,
    talks.echo: 3,
    talks.many: 3,
    talks.deflated: 3,
    talks.slow: 2,
    talks.pieces: 2,
    talks.deflated_pieces: 2,
    talks.both: 3,
    talks.push: 3,
    talks.leave_a_push: 2,
    talks.json: 2,
    talks.raises: 2,
    talks.read_slowly: 1,
    talks.leave_within_a_message: 2,
    **ROBOTS,
}
"""Who comes, and how often."""
