"""The stream in memory between the test client and the server."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from triows.testing import memory_stream_pair


async def test_the_stream_takes_all_or_nothing(autojump_clock: trio.testing.MockClock) -> None:
    one, other = memory_stream_pair(10)
    await one.send_all(b"x" * 10)
    with trio.move_on_after(1) as scope:
        await one.send_all(b"lost")
    assert scope.cancelled_caught
    assert await other.receive_some() == b"x" * 10
    await one.send_all(b"y" * 100)
    await one.send_eof()
    assert [await other.receive_some(60), await other.receive_some(60)] == [b"y" * 60, b"y" * 40]
    assert await other.receive_some() == b""
    await other.send_all(b"back")
    assert await one.receive_some() == b"back"


async def test_the_stream_keeps_the_rules_of_streams() -> None:
    await trio.testing.check_half_closeable_stream(_pair, _clogged_pair)


async def _pair() -> Any:
    return memory_stream_pair()


async def _clogged_pair() -> Any:
    one, other = memory_stream_pair(1)
    await one.send_all(b"x")
    await other.send_all(b"x")
    return one, other


async def test_a_reset_breaks_the_other_end_and_drops_what_is_under_way() -> None:
    one, other = memory_stream_pair()
    await one.send_all(b"lost")
    one.reset()
    with pytest.raises(trio.BrokenResourceError):
        await other.receive_some()
    with pytest.raises(trio.BrokenResourceError):
        await other.send_all(b"x")
    with pytest.raises(trio.ClosedResourceError):
        await one.receive_some()


async def test_a_stalled_end_takes_nothing_until_it_resumes(autojump_clock: trio.testing.MockClock) -> None:
    one, other = memory_stream_pair()
    other.stall()
    await one.send_all(b"x")
    await one.send_eof()
    with trio.move_on_after(1) as scope:
        await other.receive_some()
    assert scope.cancelled_caught
    other.resume()
    assert [await other.receive_some(), await other.receive_some()] == [b"x", b""]
