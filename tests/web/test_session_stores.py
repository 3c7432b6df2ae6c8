"""The stores of server-side sessions: in memory, and in Redis."""

from __future__ import annotations

import coredis
import pytest
import trio
from trio.testing import MockClock

from triows import MemorySessionStore, RedisSessionStore

from ..support.redis import redis_server


async def test_memory_keeps_what_it_got_until_its_time_is_over(autojump_clock: MockClock) -> None:
    store = MemorySessionStore()
    await store.save("a", "text", 10, new=True)
    await trio.sleep(9)
    assert await store.load("a") == "text"
    await trio.sleep(1)
    assert await store.load("a") is None


async def test_memory_keeps_longer_what_is_touched_or_saved_again(autojump_clock: MockClock) -> None:
    store = MemorySessionStore()
    for key in ("a", "b", "c"):
        await store.save(key, key, 10, new=True)
    await trio.sleep(9)
    await store.touch("a", 10)
    await store.save("b", "again", 10, new=False)
    await trio.sleep(9)
    assert [await store.load(key) for key in ("a", "b", "c")] == ["a", "again", None]


async def test_memory_begins_nothing_that_is_not_new(autojump_clock: MockClock) -> None:
    store = MemorySessionStore()
    await store.save("a", "text", 1, new=True)
    await trio.sleep(1)
    await store.touch("a", 10)
    await store.save("a", "late", 10, new=False)
    await store.delete("never there")
    assert await store.load("a") is None


async def test_memory_forgets_what_is_deleted() -> None:
    store = MemorySessionStore()
    await store.save("a", "text", 10, new=True)
    await store.delete("a")
    assert (await store.load("a"), len(store)) == (None, 0)


async def test_memory_is_bounded_and_drops_what_was_used_the_longest_ago() -> None:
    store = MemorySessionStore(max_entries=2)
    await store.save("a", "a", 10, new=True)
    await store.save("b", "b", 10, new=True)
    await store.touch("a", 10)
    await store.save("c", "c", 10, new=True)
    assert [await store.load(key) for key in ("a", "b", "c")] == ["a", None, "c"]


async def test_memory_drops_what_is_over_without_being_asked_for_it(autojump_clock: MockClock) -> None:
    store = MemorySessionStore()
    for number in range(100):
        await store.save(f"{number}", "", 10, new=True)
    await trio.sleep(10)
    await store.save("new", "", 10, new=True)
    assert len(store) == 1


def test_memory_holds_at_least_one() -> None:
    with pytest.raises(ValueError, match=r"^max_entries is 0; it must be at least 1$"):
        MemorySessionStore(0)


@pytest.mark.parametrize("decodes", [False, True])
async def test_redis(decodes: bool) -> None:
    async with redis_server() as redis, coredis.Redis(port=redis.port, decode_responses=decodes) as client:
        store = RedisSessionStore(client, prefix="s:")
        await store.save("a", '{"user": "Zoë"}', 0.5, new=True)
        await store.save("a", "again", 10, new=False)
        await store.save("b", "never", 10, new=False)
        assert (await store.load("a"), await store.load("b")) == ("again", None)
        await store.touch("a", 20)
        await store.delete("a")
        assert await store.load("a") is None
    assert [b" ".join(command).decode() for command in redis.commands] == [
        'SET s:a {"user": "Zoë"} PX 500',
        "SET s:a again PX 10000 XX",
        "SET s:b never PX 10000 XX",
        "GET s:a",
        "GET s:b",
        "PEXPIRE s:a 20000",
        "DEL s:a",
        "GET s:a",
    ]
