"""Links: a socket in a reactor and a stream with its two tasks, towards what hangs on them.

Tests triows/server/links/socket.py, triows/server/links/stream.py and triows/server/links/socket_state.py.
"""

from __future__ import annotations

import logging
import socket
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows.server.links.link import READ_SIZE, Link
from triows.server.links.stream import StreamLink
from triows.tasks.timers import Timers

from ...support.links import LARGE, Links, Recorder, read, read_all

# Bytes in, bytes out


async def test_bytes_of_the_client_reach_the_receiver(links: Links, autojump_clock: MockClock) -> None:
    link, client, recorder = await links.make()
    await client.send_all(b"hello")
    await wait_all_tasks_blocked()
    await client.send_all(b" again")
    await wait_all_tasks_blocked()
    assert recorder.data == b"hello again"
    assert recorder.lost == 0


async def test_bytes_are_received_as_bytes(links: Links, autojump_clock: MockClock) -> None:
    types = []
    link, client, _ = await links.make()
    Recorder(link, lambda data: types.append(type(data)))
    await client.send_all(b"hello")
    await wait_all_tasks_blocked()
    assert types == [bytes]


async def test_what_is_written_reaches_the_client_in_order(links: Links, autojump_clock: MockClock) -> None:
    link, client, _ = await links.make()
    link.write(b"one ")
    link.write_later(b"two ")
    link.write_later(b"three ")
    link.write(b"four ")
    link.write_later(b"five")
    assert await read(client, 23) == b"one two three four five"


async def test_what_is_not_taken_at_once_is_buffered_and_comes_later(links: Links, autojump_clock: MockClock) -> None:
    link, client, recorder = await links.make()
    link.write(LARGE)
    link.write(b"the end")
    await wait_all_tasks_blocked()
    assert 0 < link.buffered <= len(LARGE) + 7
    assert await read(client, len(LARGE) + 7) == LARGE + b"the end"
    await wait_all_tasks_blocked()
    assert link.buffered == 0
    assert recorder.progressed > 1


async def test_what_is_only_put_off_is_nothing_that_the_client_does_not_take(
    socket_links: Links, mock_clock: MockClock
) -> None:
    link, client, _ = await socket_links.make()
    link.write_later(b"at leisure")
    mock_clock.jump(1000)
    assert link.seconds_stalled() == 0
    assert await read(client, 10) == b"at leisure"
    link.write(b"x" * 200_000)
    began = trio.current_time()
    await wait_all_tasks_blocked()
    assert link.seconds_stalled() == 0
    mock_clock.jump(10)
    assert link.seconds_stalled() == trio.current_time() - began
    await read(client, 200_000)
    await wait_all_tasks_blocked()
    assert link.seconds_stalled() == 0


async def test_what_is_written_later_joins_the_backlog_in_order(links: Links, autojump_clock: MockClock) -> None:
    link, client, _ = await links.make()
    link.write(LARGE)
    link.write_later(b"later, ")
    link.flush()
    link.write_later(b"and later")
    await wait_all_tasks_blocked()
    assert await read(client, len(LARGE) + 16) == LARGE + b"later, and later"
    await wait_all_tasks_blocked()
    assert link.buffered == 0


async def test_progress_is_noted_when_the_buffer_begins_to_fill_and_when_bytes_are_taken(
    links: Links, autojump_clock: MockClock
) -> None:
    link, client, _ = await links.make()
    await trio.sleep(10)
    start = trio.current_time()
    link.write(LARGE)
    await wait_all_tasks_blocked()
    assert link.last_progress == pytest.approx(start, abs=0.1)
    await trio.sleep(10)
    assert link.last_progress == pytest.approx(start, abs=0.1)
    await read(client, len(LARGE))
    await wait_all_tasks_blocked()
    assert link.last_progress >= start + 10


async def test_writing_later_waits_for_the_next_pass_and_is_joined(
    socket_links: Links, autojump_clock: MockClock
) -> None:
    link, client, _ = await socket_links.make()
    await wait_all_tasks_blocked()
    for _ in range(10):
        link.write_later(b"abc")
    assert link.buffered == 30
    with pytest.raises(BlockingIOError):
        client.socket._sock.recv(1, socket.MSG_DONTWAIT)
    await wait_all_tasks_blocked()
    assert client.socket._sock.recv(100, socket.MSG_DONTWAIT) == b"abc" * 10
    assert link.buffered == 0


async def test_flushing_sends_at_once(socket_links: Links, autojump_clock: MockClock) -> None:
    link, client, _ = await socket_links.make()
    link.write_later(b"abc")
    link.flush()
    assert client.socket._sock.recv(100, socket.MSG_DONTWAIT) == b"abc"
    assert link.buffered == 0
    link.flush()


async def test_the_reactor_flushes_also_while_it_polls(socket_links: Links, autojump_clock: MockClock) -> None:
    link, client, recorder = await socket_links.make()
    await client.send_all(b"x")
    while not recorder.data:
        await trio.lowlevel.checkpoint()
    link.write_later(b"abc")  # the reactor has just been active, and does not wait yet
    await wait_all_tasks_blocked()
    assert client.socket._sock.recv(100, socket.MSG_DONTWAIT) == b"abc"


async def test_a_lot_written_later_is_not_held_back(socket_links: Links, autojump_clock: MockClock) -> None:
    link, client, _ = await socket_links.make()
    for _ in range(66):
        link.write_later(bytes(1000))
    assert client.socket._sock.recv(1, socket.MSG_DONTWAIT) == b"\0"


async def test_many_links_are_flushed_in_one_pass(socket_links: Links, autojump_clock: MockClock) -> None:
    made = [await socket_links.make() for _ in range(20)]
    for number, (link, _, _) in enumerate(made):
        link.write_later(b"%d" % number)
    await wait_all_tasks_blocked()
    for number, (_, client, _) in enumerate(made):
        assert client.socket._sock.recv(100, socket.MSG_DONTWAIT) == b"%d" % number


# Backpressure of the receiver


async def test_nothing_is_read_while_the_receiver_is_full(links: Links, autojump_clock: MockClock) -> None:
    link, client, recorder = await links.make()
    recorder.full = True
    links.nursery.start_soon(client.send_all, b"x" * 1000)
    await wait_all_tasks_blocked()
    if links.kind == "stream":  # its read is under way already, and the next one waits
        assert recorder.data in (b"", b"x" * 1000)
        before = recorder.data
        await client.send_all(b"more")
        await wait_all_tasks_blocked()
        assert recorder.data == before
    else:
        assert recorder.data == b""
    assert link.paused


async def test_reading_goes_on_when_it_is_resumed(links: Links, autojump_clock: MockClock) -> None:
    link, client, recorder = await links.make()
    recorder.full = True
    await client.send_all(b"one")
    await wait_all_tasks_blocked()
    await client.send_all(b" two")
    await wait_all_tasks_blocked()
    recorder.full = False
    link.resume()
    assert not link.paused
    await wait_all_tasks_blocked()
    assert recorder.data == b"one two"
    await client.send_all(b" three")
    await wait_all_tasks_blocked()
    assert recorder.data == b"one two three"


async def test_resuming_what_is_not_paused_does_nothing(links: Links, autojump_clock: MockClock) -> None:
    link, client, recorder = await links.make()
    link.resume()
    link.resume()
    await client.send_all(b"hello")
    await wait_all_tasks_blocked()
    assert recorder.data == b"hello"


async def test_a_resumed_receiver_that_is_still_full_pauses_again(links: Links, autojump_clock: MockClock) -> None:
    link, client, recorder = await links.make()
    recorder.full = True
    await client.send_all(b"one")
    await wait_all_tasks_blocked()
    await client.send_all(b"two")
    await wait_all_tasks_blocked()
    before = recorder.data
    link.resume()
    await wait_all_tasks_blocked()
    assert link.paused
    assert recorder.data == before


# The client's end


async def test_data_before_the_end_is_delivered_first_and_the_loss_once(
    links: Links, autojump_clock: MockClock
) -> None:
    link, client, recorder = await links.make()
    await client.send_all(b"last words")
    await client.aclose()
    await wait_all_tasks_blocked()
    assert recorder.data == b"last words"
    assert recorder.lost == 1


async def test_half_an_end_is_a_loss_too_but_writing_goes_on(links: Links, autojump_clock: MockClock) -> None:
    link, client, recorder = await links.make()
    await client.send_eof()
    await wait_all_tasks_blocked()
    assert recorder.lost == 1
    link.write(b"answer")
    assert await read(client, 6) == b"answer"
    link.close()
    assert await read_all(client) == b""
    await link.wait_closed()


async def test_the_end_is_heard_and_everything_before_it_read_while_reading_is_paused(
    socket_links: Links, autojump_clock: MockClock
) -> None:
    link, client, recorder = await socket_links.make()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * READ_SIZE)
    recorder.full = True
    await client.send_all(b"x")
    await wait_all_tasks_blocked()
    assert link.paused
    sent = client.socket._sock.send(bytes(3 * READ_SIZE), socket.MSG_DONTWAIT)
    assert sent > READ_SIZE
    await wait_all_tasks_blocked()
    assert recorder.data == b""
    await client.aclose()
    await wait_all_tasks_blocked()
    assert len(recorder.data) == sent + 1
    assert recorder.lost == 1


async def test_what_a_client_left_behind_is_read_in_turns_with_others(
    socket_links: Links, autojump_clock: MockClock
) -> None:
    """Many messages may lie in the kernel's buffer: whoever sends them and ends must not hold up the loop."""
    turn = 0
    turns = []
    link, client, recorder = await socket_links.make()
    recorder._when_received = lambda data: turns.append(turn)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * READ_SIZE)
    recorder.full = True
    await client.send_all(b"x")
    await wait_all_tasks_blocked()
    assert link.paused
    sent = client.socket._sock.send(bytes(3 * READ_SIZE), socket.MSG_DONTWAIT)
    await client.aclose()
    while not recorder.lost:
        await trio.lowlevel.checkpoint()
        turn += 1
    assert len(recorder.data) == sent + 1
    assert len(turns) >= 4
    assert max(turns.count(turn) for turn in turns) <= 2  # this task may come before or after the reactor's


async def test_of_bytes_that_take_long_fewer_are_read_at_once(
    links: Links, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = seconds_a_byte = 0.0
    sizes = []

    def received(data: bytes) -> None:
        nonlocal now
        now += len(data) * seconds_a_byte
        sizes.append(len(data))

    monkeypatch.setattr("triows.server.links.link.perf_counter", lambda: now)
    link, client, recorder = await links.make()
    recorder._when_received = received
    for cost, read_size in ((1e-6, 4096), (1e-7, 10_000), (0.0, READ_SIZE)):
        seconds_a_byte = cost
        await client.send_all(bytes(10 * READ_SIZE))
        await wait_all_tasks_blocked()
        assert link.read_size == pytest.approx(read_size, abs=1)
        sizes.clear()
        await client.send_all(bytes(READ_SIZE))
        await wait_all_tasks_blocked()
        assert max(sizes) <= read_size


async def test_a_paused_link_whose_client_has_not_ended_stays_paused(
    socket_links: Links, autojump_clock: MockClock
) -> None:
    link, client, recorder = await socket_links.make()
    recorder.full = True
    await client.send_all(b"x")
    await trio.sleep(100)
    assert recorder.data == b""
    assert recorder.lost == 0


async def test_what_arrived_is_read_although_the_client_takes_nothing_any_more(
    links: Links, autojump_clock: MockClock
) -> None:
    link, client, recorder = await links.make()
    await client.send_all(b"last words")
    await client.aclose()
    link.write(b"nobody hears this")
    link.write(LARGE)
    await wait_all_tasks_blocked()
    assert recorder.data == b"last words"
    assert recorder.lost == 1
    assert link.buffered == 0


async def test_a_client_that_vanishes_under_a_backlog_is_lost(links: Links, autojump_clock: MockClock) -> None:
    link, client, recorder = await links.make()
    link.write(LARGE)
    await wait_all_tasks_blocked()
    await client.aclose()
    await wait_all_tasks_blocked()
    await trio.sleep(1)
    assert recorder.lost == 1
    assert link.buffered == 0


# Our end


async def test_closing_sends_what_is_buffered_first(links: Links, autojump_clock: MockClock) -> None:
    link, client, _ = await links.make()
    link.write(LARGE)
    link.write_later(b"the end")
    link.close()
    assert not link.is_closed
    assert await read_all(client) == LARGE + b"the end"
    await link.wait_closed()
    assert link.is_closed
    assert link.buffered == 0


async def test_closing_with_nothing_buffered_ends_the_stream_at_once(links: Links, autojump_clock: MockClock) -> None:
    link, client, _ = await links.make()
    start = trio.current_time()
    link.close()
    await link.wait_closed()
    assert await read_all(client) == b""
    assert trio.current_time() - start < 0.5


async def test_after_closing_the_receiver_hears_nothing(links: Links, autojump_clock: MockClock) -> None:
    link, client, recorder = await links.make()
    link.close(linger=5)
    await client.send_all(b"too late")
    await client.aclose()
    await link.wait_closed()
    assert recorder.data == b""
    assert recorder.lost == 0


async def test_a_lingering_close_drops_what_the_client_sends_until_it_ends(
    links: Links, autojump_clock: MockClock
) -> None:
    link, client, recorder = await links.make()
    link.write(b"bye")
    link.close(linger=5)
    assert await read_all(client) == b"bye"
    for _ in range(20):
        await client.send_all(bytes(READ_SIZE))
    await wait_all_tasks_blocked()
    assert not link.is_closed
    start = trio.current_time()
    await client.aclose()
    await link.wait_closed()
    assert trio.current_time() - start < 1
    assert recorder.data == b""


async def test_a_lingering_close_ends_in_time(links: Links, autojump_clock: MockClock) -> None:
    link, client, _ = await links.make()
    start = trio.current_time()
    link.close(linger=5)
    await link.wait_closed()
    assert trio.current_time() - start == pytest.approx(5, abs=0.1)


async def send_every_second(client: trio.abc.SendStream, seconds: int) -> None:
    try:
        for _ in range(seconds):
            await trio.sleep(0.5)
            await client.send_all(b"more")
            await trio.sleep(0.5)
    except trio.BrokenResourceError:
        pass


@pytest.mark.parametrize(("sending", "took"), [(0, 2), (1, 4), (5, 8), (60, 10)])
async def test_a_client_that_still_sends_is_given_time_up_to_the_patience(
    sending: int, took: int, links: Links, autojump_clock: MockClock
) -> None:
    link, client, _ = await links.make()
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_every_second, client, sending)
        link.close(linger=2, patience=10)
        await link.wait_closed()
        assert trio.current_time() - start == pytest.approx(took, abs=0.1)
        nursery.cancel_scope.cancel()


async def test_in_a_hurry_there_is_no_patience(links: Links, autojump_clock: MockClock) -> None:
    link, client, _ = await links.make()
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_every_second, client, 60)
        link.close(linger=2, patience=30)
        await trio.sleep(4.5)
        link.hurry()
        await link.wait_closed()
        assert trio.current_time() - start == pytest.approx(6, abs=0.1)
        nursery.cancel_scope.cancel()


async def test_a_link_in_a_hurry_has_no_patience_when_it_is_closed_later(
    links: Links, autojump_clock: MockClock
) -> None:
    link, client, _ = await links.make()
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_every_second, client, 60)
        link.hurry()
        link.close(linger=2, patience=30)
        await link.wait_closed()
        assert trio.current_time() - start == pytest.approx(2, abs=0.1)
        nursery.cancel_scope.cancel()


async def test_lingering_begins_when_everything_is_sent(links: Links, autojump_clock: MockClock) -> None:
    link, client, _ = await links.make()
    link.write(LARGE)
    link.close(linger=5, timeout=60)
    await trio.sleep(30)
    assert not link.is_closed
    assert await read(client, len(LARGE)) == LARGE
    start = trio.current_time()
    await link.wait_closed()
    assert trio.current_time() - start == pytest.approx(5, abs=0.1)


async def test_a_client_that_takes_nothing_holds_a_close_for_its_timeout(
    links: Links, autojump_clock: MockClock
) -> None:
    link, client, _ = await links.make()
    link.write(LARGE)
    start = trio.current_time()
    link.close(timeout=7)
    await link.wait_closed()
    assert trio.current_time() - start == pytest.approx(7, abs=0.1)
    assert len(await read_all(client)) < len(LARGE)


async def test_unread_input_is_dropped_before_the_stream_is_closed(links: Links, autojump_clock: MockClock) -> None:
    # Closing a socket with unread bytes in it would reset the connection, and take these words from the client.
    link, client, recorder = await links.make()
    recorder.full = True
    await client.send_all(b"x" * 3000)
    await wait_all_tasks_blocked()
    link.write(b"last words")
    link.close(timeout=5)
    await link.wait_closed()
    assert await read(client, 10) == b"last words"


async def test_a_flood_does_not_keep_a_closed_link_alive(socket_links: Links, autojump_clock: MockClock) -> None:
    class Flood:
        """A socket that never runs dry."""

        def __init__(self, sock: socket.socket) -> None:
            self._sock = sock

        def recv(self, size: int) -> bytes:
            return bytes(size)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._sock, name)

    link, _, _ = await socket_links.make(Flood)
    start = trio.current_time()
    link.close(timeout=5)
    await link.wait_closed()
    assert trio.current_time() - start == pytest.approx(5, abs=0.1)


async def test_aborting_drops_everything(links: Links, autojump_clock: MockClock) -> None:
    link, client, recorder = await links.make()
    link.write(LARGE)
    await wait_all_tasks_blocked()
    link.abort()
    await link.wait_closed()
    assert link.is_closed
    assert link.buffered == 0
    assert len(await read_all(client)) < len(LARGE)
    assert recorder.lost == 0


ENDS: dict[str, Callable[[Link], None]] = {
    "close": lambda link: link.close(),
    "lingering close": lambda link: link.close(linger=3, timeout=3),
    "abort": lambda link: link.abort(),
}


@pytest.mark.parametrize("second", ENDS)
@pytest.mark.parametrize("first", ENDS)
async def test_every_end_may_be_repeated_in_any_way(
    links: Links, autojump_clock: MockClock, first: str, second: str
) -> None:
    link, client, _ = await links.make()
    link.write(LARGE)
    ENDS[first](link)
    ENDS[second](link)
    ENDS[second](link)
    await client.aclose()
    await link.wait_closed()
    ENDS[first](link)
    ENDS[second](link)
    await link.wait_closed()
    assert link.is_closed
    assert link.buffered == 0


async def test_writing_after_the_end_does_nothing(links: Links, autojump_clock: MockClock) -> None:
    link, client, _ = await links.make()
    link.abort()
    await link.wait_closed()
    link.write(b"x")
    link.write_later(b"y")
    link.flush()
    link.resume()
    await wait_all_tasks_blocked()
    assert link.buffered == 0
    assert await read_all(client) == b""


async def test_a_cancelled_wait_for_the_end_leaves_the_link_as_it_is(links: Links, autojump_clock: MockClock) -> None:
    link, client, recorder = await links.make()
    with trio.move_on_after(1) as scope:
        await link.wait_closed()
    assert scope.cancelled_caught
    await client.send_all(b"still here")
    await wait_all_tasks_blocked()
    assert recorder.data == b"still here"


async def test_waiting_for_the_end_of_what_has_ended_ends_at_once(links: Links, autojump_clock: MockClock) -> None:
    link, _, _ = await links.make()
    link.abort()
    await link.wait_closed()
    with trio.testing.assert_no_checkpoints():
        await link.wait_closed()


# Errors of ours


async def test_an_error_in_a_receiver_costs_its_link_only(
    links: Links, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    good, good_client, good_recorder = await links.make()
    bad, bad_client, _ = await links.make()

    def fail(data: bytes) -> None:
        raise RuntimeError("a fault of ours")

    bad_recorder = Recorder(bad, fail)
    with caplog.at_level(logging.ERROR):
        await bad_client.send_all(b"x")
        await bad.wait_closed()
    assert bad_recorder.lost == 1
    assert [record.getMessage() for record in caplog.records] == ["receiving failed; the connection is dropped"]
    assert "a fault of ours" in caplog.text
    await good_client.send_all(b"hello")
    await wait_all_tasks_blocked()
    assert good_recorder.data == b"hello"
    good.write(b"answer")
    assert await read(good_client, 6) == b"answer"


async def test_a_receiver_may_end_another_link_in_the_same_pass(socket_links: Links, autojump_clock: MockClock) -> None:
    made = [await socket_links.make() for _ in range(5)]

    def end_all(data: bytes) -> None:
        for link, _, _ in made:
            link.abort()

    for link, _, _ in made:
        Recorder(link, end_all)
    for _, client, _ in made:
        client.socket._sock.send(b"x")
    await wait_all_tasks_blocked()
    assert all(link.is_closed for link, _, _ in made)


async def test_a_receiver_may_hand_over_to_another(links: Links, autojump_clock: MockClock) -> None:
    link, client, _ = await links.make()
    successors: list[Recorder] = []
    first = Recorder(link, lambda data: successors.append(Recorder(link)))
    await client.send_all(b"one")
    await wait_all_tasks_blocked()
    await client.send_all(b"two")
    await wait_all_tasks_blocked()
    assert first.data == b"one"
    assert successors[0].data == b"two"


# The reactor


async def test_tiny_writes_that_wait_for_the_client_take_little_more_than_their_bytes(
    links: Links, autojump_clock: MockClock
) -> None:
    link, mine, _ = await links.make()
    link.write(bytes(100_000))  # more than is taken at once
    await trio.testing.wait_all_tasks_blocked()
    before = link.buffered
    tracemalloc.start()
    try:
        for number in range(20_000):
            link.write(bytes((0x81, number & 0x7F)))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert link.buffered == before + 40_000
    assert used < 3 * 40_000
    received = bytearray()
    while len(received) < 140_000:
        received += await mine.receive_some(65536)
    assert received[100_000:] == b"".join(bytes((0x81, number & 0x7F)) for number in range(20_000))


async def test_a_stream_that_its_owner_closes_while_reading_is_paused_is_lost(
    nursery: trio.Nursery, mock_clock: MockClock
) -> None:
    ours, theirs = trio.socket.socketpair()
    stream = trio.SocketStream(ours)
    link = StreamLink(stream, Timers())
    receiver = Recorder(link)
    receiver.full = True
    with theirs:
        await nursery.start(link.run)
        await wait_all_tasks_blocked()
        ours.close()
        assert link.unread == 0
        assert link.on_the_way is None
        mock_clock.jump(2)
        await wait_all_tasks_blocked()
        assert receiver.lost == 1
        link.abort()
