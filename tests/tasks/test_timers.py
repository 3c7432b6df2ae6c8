"""Timers: when they fire and in which order, and what an error in one costs."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows.tasks import timers as module
from triows.tasks.timers import Timers, yield_if_late


@pytest.fixture
async def timers(nursery: trio.Nursery) -> Timers:
    timers = Timers()
    nursery.start_soon(timers.run)
    await wait_all_tasks_blocked()
    return timers


class Calls(list[tuple[str, float]]):
    """What was called when, counted from the start."""

    def __init__(self) -> None:
        super().__init__()
        self.start = trio.current_time()

    def at(self, name: str) -> partial[None]:
        return partial(self._call, name)

    def _call(self, name: str) -> None:
        self.append((name, pytest.approx(trio.current_time() - self.start)))


async def test_a_timer_fires_once_at_its_time(timers: Timers, autojump_clock: MockClock) -> None:
    calls = Calls()
    timers.call_later(5, calls.at("five"))
    await trio.sleep(4.9)
    assert calls == []
    await trio.sleep(100)
    assert calls == [("five", 5)]


async def test_call_at_takes_a_point_of_the_clock(timers: Timers, autojump_clock: MockClock) -> None:
    calls = Calls()
    timers.call_at(trio.current_time() + 3, calls.at("three"))
    await trio.sleep(10)
    assert calls == [("three", 3)]


async def test_timers_fire_in_the_order_of_their_deadlines(timers: Timers, autojump_clock: MockClock) -> None:
    calls = Calls()
    for seconds in (3, 1, 2, 5, 4):
        timers.call_later(seconds, calls.at(str(seconds)))
    await trio.sleep(10)
    assert calls == [("1", 1), ("2", 2), ("3", 3), ("4", 4), ("5", 5)]


async def test_a_timer_that_another_one_sets_for_now_lets_others_run_first(
    timers: Timers, autojump_clock: MockClock
) -> None:
    calls: list[str] = []

    def again() -> None:
        calls.append("timer")
        if len(calls) < 20:
            timers.call_later(0, again)

    timers.call_later(1, again)
    await trio.sleep(1)
    for _ in range(10):
        calls.append("task")
        await trio.lowlevel.checkpoint()
    assert calls.count("timer") > 3
    assert all(pair != ("timer", "timer", "timer") for pair in zip(calls, calls[1:], calls[2:], strict=False))


async def test_an_earlier_timer_that_is_added_later_fires_in_time(timers: Timers, autojump_clock: MockClock) -> None:
    calls = Calls()
    timers.call_later(10, calls.at("late"))
    await trio.sleep(1)
    timers.call_later(2, calls.at("early"))
    await trio.sleep(20)
    assert calls == [("early", 3), ("late", 10)]


async def test_a_timer_of_the_past_fires_at_once(timers: Timers, autojump_clock: MockClock) -> None:
    calls = Calls()
    timers.call_at(trio.current_time() - 1, calls.at("past"))
    timers.call_later(0, calls.at("now"))
    await trio.sleep(1)
    assert sorted(calls, key=str) == [("now", 0), ("past", 0)]


async def test_a_cancelled_timer_does_not_fire(timers: Timers, autojump_clock: MockClock) -> None:
    calls = Calls()
    cancelled = timers.call_later(1, calls.at("cancelled"))
    timers.call_later(2, calls.at("kept"))
    cancelled.cancel()
    await trio.sleep(5)
    assert calls == [("kept", 2)]


async def test_a_timer_can_be_cancelled_after_it_fired(timers: Timers, autojump_clock: MockClock) -> None:
    calls = Calls()
    timer = timers.call_later(1, calls.at("fired"))
    await trio.sleep(2)
    timer.cancel()
    timer.cancel()
    assert calls == [("fired", 1)]


async def test_an_error_in_a_callback_costs_no_other_timer(
    timers: Timers, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    fired = []
    timers.call_later(1, lambda: fired.append(1 // 0))
    timers.call_later(1, lambda: fired.append(2))
    timers.call_later(2, lambda: fired.append(3))
    await trio.sleep(3)
    assert fired == [2, 3]
    assert [record.message for record in caplog.records] == ["a timer's callback failed"]


async def test_a_timer_can_cancel_another_of_the_same_moment(timers: Timers, autojump_clock: MockClock) -> None:
    calls = Calls()
    made = []

    def cancel_the_others(number: int) -> None:
        calls.at(str(number))()
        for timer in made:
            timer.cancel()

    made += [timers.call_later(1, partial(cancel_the_others, number)) for number in range(3)]
    await trio.sleep(5)
    assert len(calls) == 1


async def test_a_timer_can_start_another(timers: Timers, autojump_clock: MockClock) -> None:
    calls = Calls()

    def again() -> None:
        calls.at("tick")()
        if len(calls) < 4:
            timers.call_later(2, again)

    timers.call_later(2, again)
    await trio.sleep(50)
    assert calls == [("tick", 2), ("tick", 4), ("tick", 6), ("tick", 8)]


async def test_a_timer_that_starts_one_for_at_once_ends(timers: Timers, autojump_clock: MockClock) -> None:
    calls = Calls()
    timers.call_later(1, lambda: timers.call_later(0, calls.at("at once")))
    await trio.sleep(2)
    assert calls == [("at once", 1)]


async def test_timers_made_before_the_task_runs_fire(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    timers = Timers()
    calls = Calls()
    timers.call_later(1, calls.at("early"))
    nursery.start_soon(timers.run)
    await trio.sleep(2)
    assert calls == [("early", 1)]


async def test_cancelled_timers_do_not_pile_up(timers: Timers, autojump_clock: MockClock) -> None:
    kept = timers.call_later(1000, lambda: None)
    for _ in range(20_000):
        timers.call_later(60, lambda: None).cancel()
    assert len(timers._heap) < 5_000
    assert kept in timers._heap


async def test_the_task_can_be_cancelled(autojump_clock: MockClock) -> None:
    timers = Timers()
    calls = Calls()
    with trio.move_on_after(1) as scope:
        timers.call_later(0.5, calls.at("fired"))
        timers.call_later(2, calls.at("never"))
        await timers.run()
    assert scope.cancelled_caught
    await trio.sleep(5)
    assert calls == [("fired", 0.5)]


# The event loop itself is late


async def test_tasks_that_read_run_before_a_deadline_that_the_loop_was_late_for_counts(mock_clock: MockClock) -> None:
    arrived: list[int] = []

    async def read() -> None:
        for number in range(5):
            await trio.lowlevel.checkpoint()
            arrived.append(number)

    deadline = trio.current_time()
    mock_clock.jump(1.5)  # nothing has run meanwhile
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        assert await yield_if_late(deadline)
        assert arrived == [0, 1, 2, 3, 4]


async def test_a_deadline_that_has_just_passed_counts_at_once(mock_clock: MockClock) -> None:
    deadline = trio.current_time()
    mock_clock.jump(0.5)
    with trio.CancelScope() as scope:
        scope.cancel()
        assert not await yield_if_late(deadline)
    assert not scope.cancelled_caught  # it was no checkpoint


async def test_timers_that_take_long_let_other_tasks_run_between_them(
    timers: Timers, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PASS", -1.0)  # the time for one pass is over at each timer
    order: list[str] = []

    async def other() -> None:
        for _ in range(3):
            order.append("task")
            await trio.lowlevel.checkpoint()

    def first() -> None:
        order.append("first")
        nursery.start_soon(other)

    async with trio.open_nursery() as nursery:
        timers.call_later(1, first)
        timers.call_later(1, partial(order.append, "second"))
        timers.call_later(1, partial(order.append, "third"))
        await trio.sleep(2)
    assert order.index("task") < order.index("third")
