"""A waiting task: what wakes it, and what its cancellation leaves."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows.tasks.waiter import _WOKEN, Waiter


async def test_a_parked_task_runs_on_when_it_is_woken(nursery: trio.Nursery) -> None:
    waiter = Waiter()
    done = trio.Event()

    async def park() -> None:
        await waiter.park()
        done.set()

    nursery.start_soon(park)
    await wait_all_tasks_blocked()
    assert not done.is_set()
    waiter.wake()
    await wait_all_tasks_blocked()
    assert done.is_set()


async def test_waking_when_nobody_waits_is_not_remembered(autojump_clock: MockClock) -> None:
    waiter = Waiter()
    waiter.wake()
    with trio.move_on_after(1) as scope:
        await waiter.park()
    assert scope.cancelled_caught


async def test_waking_twice_wakes_once(nursery: trio.Nursery) -> None:
    waiter = Waiter()
    wakes = 0

    async def park_twice() -> None:
        nonlocal wakes
        for _ in range(2):
            await waiter.park()
            wakes += 1

    nursery.start_soon(park_twice)
    await wait_all_tasks_blocked()
    waiter.wake()
    waiter.wake()
    await wait_all_tasks_blocked()
    assert wakes == 1
    waiter.wake()


async def test_a_cancelled_wait_leaves_the_place_free() -> None:
    waiter = Waiter()
    with trio.CancelScope() as scope:
        scope.cancel()
        await waiter.park()
    assert scope.cancelled_caught
    assert waiter.task is None
    waiter.wake()  # must not reschedule the task, which runs


async def test_a_wake_before_a_cancellation_in_the_same_pass_is_not_lost(nursery: trio.Nursery) -> None:
    waiter = Waiter()
    woken = trio.Event()

    async def park() -> None:
        await waiter.park()
        woken.set()

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as inner:
            inner.start_soon(park)
            await wait_all_tasks_blocked()
            waiter.wake()
            scope.cancel()
    assert woken.is_set()


# What a task is woken with is an outcome, with all that an outcome.Value(None) can do


def test_the_outcome_can_be_unwrapped_again() -> None:
    assert [_WOKEN.unwrap(), _WOKEN.unwrap()] == [None, None]  # type: ignore[func-returns-value]


def test_the_outcome_can_be_sent_into_a_generator() -> None:
    def generator() -> Generator[object, None, None]:
        yield 1
        yield (yield 2)

    running = generator()
    assert [_WOKEN.send(running) for _ in range(3)] == [1, 2, None]


async def test_the_outcome_can_be_sent_into_an_async_generator() -> None:
    async def generator() -> AsyncGenerator[object, None]:
        yield 1
        yield (yield 2)

    running = generator()
    assert [await _WOKEN.asend(running) for _ in range(3)] == [1, 2, None]
    await running.aclose()
