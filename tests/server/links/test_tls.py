"""TLS on a socket in the reactor: handshake, records, backpressure, and all the ways in which it can end."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows.server.links import reactor
from triows.server.links.link import READ_SIZE
from triows.server.links.reactor import Reactor
from triows.server.links.tls import TLSLink
from triows.tasks.timers import Timers

from ...support.guard import fail_when_it_hangs
from ...support.tls import Client
from .test_link import LARGE, Recorder, read, read_all

pytestmark = pytest.mark.skipif(not reactor.AVAILABLE, reason="there is no reactor on this platform")

MIB4 = LARGE[:1_000_000] * 4 + bytes(194_304)
HANDSHAKE, ALERT, APPLICATION_DATA = 22, 21, 23


class Links:
    """Makes links, and the clients at their other ends."""

    def __init__(self, server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> None:
        self.timers = Timers()
        self.reactor = Reactor()
        self.server_context = server_context
        self.client_context = client_context
        self.made: list[TLSLink] = []
        self.streams: list[trio.SocketStream] = []

    def make(self, when_received: Callable[[bytes], None] | None = None) -> tuple[TLSLink, Client, Recorder]:
        """A link before the handshake. What the client does not read is soon too much."""
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        ours.setblocking(False)
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(theirs))
        self.streams.append(stream)
        link = TLSLink(ours, self.reactor, self.timers, self.server_context)
        self.made.append(link)
        return link, Client(stream, self.client_context), Recorder(link, when_received)

    async def connected(self, when_received: Callable[[bytes], None] | None = None) -> tuple[TLSLink, Client, Recorder]:
        """The same behind the handshake."""
        link, client, recorder = self.make(when_received)
        await client.handshake()
        await wait_all_tasks_blocked()
        return link, client, recorder


@pytest.fixture
async def links(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext, autojump_clock: MockClock
) -> AsyncIterator[Links]:
    async with trio.open_nursery() as nursery:
        links = Links(server_context, client_context)
        nursery.start_soon(fail_when_it_hangs)
        nursery.start_soon(links.timers.run)
        nursery.start_soon(links.reactor.run)
        yield links
        for link in links.made:
            link.abort()
        links.reactor.close()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            for stream in links.streams:
                await trio.aclose_forcefully(stream)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def records(data: bytes) -> list[int]:
    """The types of the records in these bytes, which must be whole."""
    types = []
    while data:
        types.append(data[0])
        size = 5 + int.from_bytes(data[3:5], "big")
        assert len(data) >= size
        data = data[size:]
    return types


# The handshake


async def test_a_handshake_in_single_bytes_succeeds(links: Links, autojump_clock: MockClock) -> None:
    link, client, recorder = links.make()
    await client.handshake(segment=1)
    await client.send(b"hello")
    await wait_all_tasks_blocked()
    assert recorder.data == b"hello"
    link.write(b"welcome")
    assert await client.read(7) == b"welcome"


async def test_the_receiver_hears_nothing_of_the_handshake(links: Links, autojump_clock: MockClock) -> None:
    _, _, recorder = await links.connected()
    assert (recorder.data, recorder.lost) == (b"", 0)


# In TLS 1.2 the server has the last word.
@pytest.mark.parametrize("client_context", [ssl.TLSVersion.TLSv1_3], indirect=True, ids=["1.3"])
async def test_the_first_data_may_come_in_the_segment_that_ends_the_handshake(
    links: Links, autojump_clock: MockClock
) -> None:
    _, client, recorder = links.make()
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.do_handshake()
    await client.flush()
    await wait_all_tasks_blocked()
    client.incoming.write(bytes(await client.stream.receive_some()))
    client.tls.do_handshake()
    await client.send(b"early")
    await wait_all_tasks_blocked()
    assert recorder.data == b"early"


async def test_what_is_written_before_the_handshake_is_over_comes_after_it(
    links: Links, autojump_clock: MockClock
) -> None:
    link, client, _ = links.make()
    link.write(b"one ")
    link.write_later(b"two ")
    link.flush()
    assert link.buffered == 8
    await client.handshake()
    assert await client.read(8) == b"one two "
    await wait_all_tasks_blocked()
    assert link.buffered == 0


@pytest.mark.parametrize(
    "garbage",
    [
        bytes.fromhex("1603010005") + b"junk!",
        bytes.fromhex("160301ffff") + bytes(65535),
        bytes.fromhex("1503010002") + b"\x02\x28",
        b"\x00" * 100,
        b"\xff" * 1000,
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
    ids=["junk", "too-long", "alert", "zeros", "ones", "ssh"],
)
async def test_garbage_instead_of_a_handshake_is_a_quiet_end(
    links: Links, autojump_clock: MockClock, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    link, client, recorder = links.make()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.stream.send_all, garbage)
        await wait_all_tasks_blocked()
        assert (recorder.data, recorder.lost) == (b"", 1)
        link.close(linger=2)
        answer = await read_all(client.stream)
    assert set(records(answer)) <= {ALERT}
    assert caplog.records == []


async def test_a_fault_in_the_handshake_is_answered_with_the_alert(links: Links, autojump_clock: MockClock) -> None:
    link, client, recorder = links.make()
    await client.stream.send_all(bytes.fromhex("1603010005") + b"junk!")
    alert = await read(client.stream, 7)
    assert (alert[0], alert[3:6]) == (ALERT, b"\x00\x02\x02")  # two bytes, fatal
    assert recorder.lost == 1


async def test_plain_http_is_told_that_this_is_tls(
    links: Links, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    link, client, recorder = links.make()
    await client.stream.send_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await wait_all_tasks_blocked()
    assert (recorder.data, recorder.lost) == (b"", 1)
    link.close(linger=2)
    head, _, body = (await read_all(client.stream)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"content-length: %d\r\n" % len(body) in head
    assert caplog.records == []


async def test_a_client_that_does_not_trust_the_certificate_is_a_quiet_end(
    links: Links, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    links.client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    link, client, recorder = links.make()
    with pytest.raises(ssl.SSLCertVerificationError):
        await client.handshake()
    await client.flush()
    await wait_all_tasks_blocked()
    assert recorder.lost == 1
    assert caplog.records == []


async def test_closing_within_the_handshake_ends_the_stream_without_a_word(
    links: Links, autojump_clock: MockClock
) -> None:
    link, client, recorder = links.make()
    await client.stream.send_all(b"\x16\x03\x01")
    await wait_all_tasks_blocked()
    link.close()
    assert await read_all(client.stream) == b""
    await link.wait_closed()
    assert recorder.lost == 0


# Records


async def test_bytes_go_both_ways(links: Links, autojump_clock: MockClock) -> None:
    link, client, recorder = await links.connected()
    await client.send(b"hello")
    await wait_all_tasks_blocked()
    await client.send(b" again")
    await wait_all_tasks_blocked()
    assert recorder.data == b"hello again"
    link.write(b"one ")
    link.write_later(b"two ")
    link.write_later(b"three ")
    link.write(b"four ")
    link.write_later(b"five")
    assert await client.read(23) == b"one two three four five"


async def test_a_record_in_single_bytes_is_received(links: Links, autojump_clock: MockClock) -> None:
    _, client, recorder = await links.connected()
    for byte in client.encrypt(b"hello"):
        assert recorder.data == b""
        await client.stream.send_all(bytes([byte]))
        await wait_all_tasks_blocked()
    assert recorder.data == b"hello"


async def test_many_records_in_one_read_are_handed_over_in_one_piece(links: Links, autojump_clock: MockClock) -> None:
    pieces: list[bytes] = []
    _, client, _ = await links.connected(pieces.append)
    await client.stream.send_all(b"".join(client.encrypt(b"%02d" % number) for number in range(20)))
    await wait_all_tasks_blocked()
    assert pieces == [b"".join(b"%02d" % number for number in range(20))]
    assert type(pieces[0]) is bytes


async def test_what_is_written_later_goes_out_in_one_record(links: Links, autojump_clock: MockClock) -> None:
    link, client, _ = await links.connected()
    client.incoming.write(bytes(await client.stream.receive_some()) if client.tls.version() == "TLSv1.3" else b"")
    for _ in range(10):
        link.write_later(b"abc")
    assert link.buffered == 30
    await wait_all_tasks_blocked()
    assert link.buffered == 0
    data = bytes(await client.stream.receive_some())
    assert records(data) == [APPLICATION_DATA]
    client.incoming.write(data)
    assert await client.read(30) == b"abc" * 10


async def test_a_lot_written_later_is_not_held_back(links: Links, autojump_clock: MockClock) -> None:
    link, client, _ = await links.connected()
    for _ in range(70):
        link.write_later(bytes(1000))
    # No checkpoint was passed, and yet the first bytes are out: the kernel's buffer is full of them.
    assert link.buffered < 80_000
    assert await client.read(70_000) == bytes(70_000)


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 65536, 65537, 1_000_000])
async def test_sizes_around_a_record_go_both_ways(links: Links, size: int) -> None:
    link, client, recorder = await links.connected()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send, LARGE[:size] + b"!")
        link.write(LARGE[:size])
        link.write(b"!")
        assert await client.read(size + 1) == LARGE[:size] + b"!"
    await wait_all_tasks_blocked()
    assert recorder.data == LARGE[:size] + b"!"


async def test_4_mib_go_both_ways_at_once(links: Links, autojump_clock: MockClock) -> None:
    pieces: list[bytes] = []
    link, client, recorder = await links.connected()
    recorder.data_received = pieces.append  # type: ignore[method-assign] - not quadratic
    link.write(MIB4)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send, MIB4)
        received = bytearray()
        while len(received) < len(MIB4):
            received += await client.read(16384)
    await wait_all_tasks_blocked()
    assert received == MIB4
    assert b"".join(pieces) == MIB4
    assert link.buffered == 0
    assert recorder.progressed > 1


# Backpressure


async def test_a_full_receiver_gets_no_more_than_one_read_and_the_rest_when_it_resumes(
    links: Links, autojump_clock: MockClock
) -> None:
    def fill(data: bytes) -> None:
        recorder.full = True

    link, client, recorder = await links.connected(fill)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send, LARGE)
        total = 0
        while total < len(LARGE):
            await wait_all_tasks_blocked()
            arrived = len(recorder.data) - total
            assert 0 < arrived <= READ_SIZE + 16384
            assert link.paused or len(recorder.data) == len(LARGE)
            total += arrived
            recorder.full = False
            link.resume()
    assert recorder.data == LARGE


async def test_a_full_receiver_does_not_stop_sending(links: Links, autojump_clock: MockClock) -> None:
    link, client, recorder = await links.connected()
    recorder.full = True
    await client.send(b"not now")
    link.write(LARGE)
    assert await client.read(len(LARGE)) == LARGE
    assert recorder.data == b""
    recorder.full = False
    link.resume()
    await wait_all_tasks_blocked()
    assert recorder.data == b"not now"


async def test_what_a_client_does_not_read_is_buffered_and_counted(links: Links, autojump_clock: MockClock) -> None:
    link, client, recorder = await links.connected()
    link.write(LARGE)
    link.write_later(b"the end")
    await wait_all_tasks_blocked()
    assert len(LARGE) // 2 < link.buffered <= len(LARGE) * 1.01 + 100
    assert await client.read(len(LARGE) + 7) == LARGE + b"the end"
    await wait_all_tasks_blocked()
    assert link.buffered == 0
    assert recorder.progressed > 1


async def test_progress_is_noted_when_the_buffer_begins_to_fill_and_when_bytes_are_taken(
    links: Links, autojump_clock: MockClock
) -> None:
    link, client, _ = await links.connected()
    await trio.sleep(10)
    start = trio.current_time()
    link.write(LARGE)
    await wait_all_tasks_blocked()
    assert link.last_progress == pytest.approx(start, abs=0.1)
    await trio.sleep(10)
    await client.read(len(LARGE))
    await wait_all_tasks_blocked()
    assert link.last_progress >= start + 10


async def test_a_client_that_makes_tls_answer_and_takes_no_answer_is_dropped(
    links: Links, autojump_clock: MockClock
) -> None:
    link, client, recorder = await links.connected()
    link.write(LARGE)
    for _ in range(10):
        if link.is_closed:
            break
        link._outgoing.write(bytes(10_000))  # as updates of keys make OpenSSL do, some bytes each
        await client.send(b".")
        await wait_all_tasks_blocked()
    assert link.is_closed
    assert recorder.lost == 1
    assert link.buffered == 0


# The client's end


async def test_a_close_notify_is_the_end_behind_the_data(
    links: Links, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    link, client, recorder = await links.connected()
    await client.send(b"the last")
    await client.send_close_notify()
    await wait_all_tasks_blocked()
    assert (recorder.data, recorder.lost) == (b"the last", 1)
    await client.stream.send_all(b"not TLS any more")
    await client.stream.send_eof()
    await wait_all_tasks_blocked()
    assert (recorder.data, recorder.lost) == (b"the last", 1)
    link.write(b"an answer all the same")
    link.close()
    assert await client.read(22) == b"an answer all the same"
    await client.read_end()
    assert caplog.records == []


async def test_data_and_close_notify_in_one_segment_are_both_heard(links: Links, autojump_clock: MockClock) -> None:
    _, client, recorder = await links.connected()
    data = client.encrypt(b"the last")
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.unwrap()
    await client.stream.send_all(data + client.outgoing.read())
    await wait_all_tasks_blocked()
    assert (recorder.data, recorder.lost) == (b"the last", 1)


async def test_an_end_without_close_notify_is_an_end_too(
    links: Links, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    link, client, recorder = await links.connected()
    await client.send(b"the last")
    await client.stream.send_eof()
    await wait_all_tasks_blocked()
    assert (recorder.data, recorder.lost) == (b"the last", 1)
    link.write(b"an answer all the same")
    link.close()
    assert await client.read(22) == b"an answer all the same"
    await client.read_end()
    assert caplog.records == []


async def test_everything_before_the_end_is_read_although_the_receiver_is_full(
    links: Links, autojump_clock: MockClock
) -> None:
    _, client, recorder = await links.connected()
    recorder.full = True
    for _ in range(3):
        await client.send(b"word ")
    await client.stream.send_eof()
    await wait_all_tasks_blocked()
    assert (recorder.data, recorder.lost) == (b"word word word ", 1)


async def test_a_torn_record_at_the_end_is_dropped(links: Links, autojump_clock: MockClock) -> None:
    _, client, recorder = await links.connected()
    await client.send(b"whole")
    await client.stream.send_all(client.encrypt(b"torn")[:-1])
    await client.stream.send_eof()
    await wait_all_tasks_blocked()
    assert (recorder.data, recorder.lost) == (b"whole", 1)


async def test_a_reset_is_the_end(links: Links, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    link, client, recorder = await links.connected()
    link.write(LARGE)
    await client.send(b"the last")
    await client.stream.aclose()  # with unread bytes
    await wait_all_tasks_blocked()
    assert recorder.lost == 1
    assert link.buffered == 0
    link.write(b"to nobody")
    link.close()
    await link.wait_closed()
    assert caplog.records == []


async def test_a_record_that_was_tampered_with_is_the_end_behind_what_was_right(
    links: Links, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    link, client, recorder = await links.connected()
    right, wrong = client.encrypt(b"right"), bytearray(client.encrypt(b"wrong"))
    wrong[-1] ^= 1
    await client.stream.send_all(right + bytes(wrong) + client.encrypt(b"behind"))
    await wait_all_tasks_blocked()
    assert (recorder.data, recorder.lost) == (b"right", 1)
    link.write(b"to nobody")
    link.close(linger=2)
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        await client.read(1)
    assert caplog.records == []


# This side's end


async def test_the_last_bytes_come_then_close_notify_then_the_end(links: Links, autojump_clock: MockClock) -> None:
    link, client, recorder = await links.connected()
    link.write(LARGE)
    link.write_later(b"the last")
    link.close()
    assert await client.read(len(LARGE) + 8) == LARGE + b"the last"
    await client.read_end()
    assert not link.is_closed  # the client has not ended TLS from its side
    await client.send_close_notify()
    await client.stream.aclose()
    await link.wait_closed()
    assert recorder.lost == 0


async def test_a_client_that_does_not_end_its_side_is_not_waited_for_long(
    links: Links, autojump_clock: MockClock
) -> None:
    link, client, _ = await links.connected()
    start = trio.current_time()
    link.close()
    await link.wait_closed()
    assert trio.current_time() - start == pytest.approx(1)


async def test_a_client_that_has_ended_its_side_is_not_waited_for(links: Links, autojump_clock: MockClock) -> None:
    link, client, _ = await links.connected()
    await client.send_close_notify()
    await wait_all_tasks_blocked()
    start = trio.current_time()
    link.close()
    await link.wait_closed()
    assert trio.current_time() == start
    await client.read_end()


async def test_a_lingering_close_drops_what_the_client_sends_until_it_ends(
    links: Links, autojump_clock: MockClock
) -> None:
    link, client, recorder = await links.connected()
    link.close(linger=5)
    await client.read_end()
    for _ in range(3):
        await client.send(b"on and on")
        await trio.sleep(1)
    assert not link.is_closed
    await client.stream.aclose()
    await link.wait_closed()
    assert (recorder.data, recorder.lost) == (b"", 0)


async def test_a_client_that_takes_nothing_holds_a_close_for_its_timeout(
    links: Links, autojump_clock: MockClock
) -> None:
    link, client, _ = await links.connected()
    start = trio.current_time()
    link.write(LARGE)
    link.close(timeout=3)
    await link.wait_closed()
    assert trio.current_time() - start == pytest.approx(3)


async def test_aborting_drops_everything(links: Links, autojump_clock: MockClock) -> None:
    link, client, recorder = await links.connected()
    link.write(LARGE)
    link.write_later(b"later")
    link.abort()
    assert link.is_closed
    assert link.buffered == 0
    await link.wait_closed()
    link.write(b"to nobody")
    link.write_later(b"to nobody")
    link.flush()
    link.close()
    link.abort()
    assert link.buffered == 0
    assert recorder.lost == 0
    assert len(await read_all(client.stream)) < len(LARGE)


async def test_an_error_in_a_receiver_costs_its_link_only(
    links: Links, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(data: bytes) -> None:
        raise ValueError("a mistake")

    link, client, recorder = await links.connected(fail)
    other, other_client, other_recorder = await links.connected()
    await client.send(b"hello")
    await other_client.send(b"hello")
    await wait_all_tasks_blocked()
    assert link.is_closed
    assert recorder.lost == 1
    assert other_recorder.data == b"hello"
    assert [record.message for record in caplog.records] == ["receiving failed; the connection is dropped"]


async def test_a_receiver_may_close_the_link_while_it_receives(links: Links, autojump_clock: MockClock) -> None:
    def answer(data: bytes) -> None:
        link.write(b"enough")
        link.close()

    link, client, recorder = await links.connected(answer)
    await client.stream.send_all(client.encrypt(b"one") + client.encrypt(b"two"))
    assert await client.read(6) == b"enough"
    await client.read_end()
    await client.send(b"three")
    await client.stream.aclose()
    await link.wait_closed()
    assert recorder.data == b"onetwo"
