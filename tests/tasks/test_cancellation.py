"""Who swallows the cancellation of a disconnect is found out, and nobody else is accused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows.errors import CancelledSwallowedError
from triows.tasks.cancellation import HandlerWatch
from triows.tasks.exception_groups import leaves

REASON = "websocket disconnected: 1001 going away"

Handler = Callable[[], Awaitable[Any]]


class Supervised:
    """A handler as a connection runs it: in a cancel scope, in a nursery, watched."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.scope = trio.CancelScope()
        self.watch: HandlerWatch
        self.returned: Any = None
        self.raised: list[BaseException] = []

    async def run(self) -> None:
        """Run the handler; what it raises is remembered, and only Cancelled goes on."""
        with self.scope:
            try:
                async with trio.open_nursery():
                    self.watch = HandlerWatch(self.handler)
                    self.returned = await self.watch.drive(self.handler())  # type: ignore[arg-type]
            except BaseExceptionGroup as group:
                self.raised = [*leaves(group)]
                cancelled = group.subgroup(trio.Cancelled)
                if cancelled is not None:
                    raise cancelled from None

    @property
    def was_cancelled(self) -> bool:
        return bool(self.raised) and all(isinstance(error, trio.Cancelled) for error in self.raised)

    def disconnect(self) -> None:
        self.watch.reason = REASON
        self.scope.cancel(reason=REASON)

    @property
    def swallowed_error(self) -> CancelledSwallowedError | None:
        return self.watch.swallowed_error


async def disconnected(handler: Handler) -> Supervised:
    """Run a handler, and cancel it as a disconnect does as soon as it waits."""
    supervised = Supervised(handler)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervised.run)
        await wait_all_tasks_blocked()
        supervised.disconnect()
    return supervised


# Those that swallow


async def test_swallowing_at_an_await_of_its_own_is_reported() -> None:
    async def handler() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            pass

    assert (await disconnected(handler)).swallowed_error is not None


async def test_the_report_names_the_handler_its_file_and_line_and_the_remedy() -> None:
    async def careless() -> None:
        try:
            await trio.sleep_forever()
        except BaseException:  # the mistake under test
            pass

    text = str((await disconnected(careless)).swallowed_error)
    line = careless.__code__.co_firstlineno
    assert text == (
        f"{careless.__qualname__}() ({__file__}:{line}) swallowed trio.Cancelled ({REASON}): catch Exception instead "
        "of BaseException, or raise Cancelled again after the cleanup"
    )


async def test_swallowing_by_a_return_in_finally_is_reported() -> None:
    async def handler() -> str:
        try:
            await trio.sleep_forever()
        finally:
            return "too late"  # noqa: B012

    supervised = await disconnected(handler)
    assert supervised.returned == "too late"
    assert supervised.swallowed_error is not None


async def test_swallowing_at_the_exit_of_a_nursery_is_reported() -> None:
    async def handler() -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
        except BaseException:
            pass

    assert (await disconnected(handler)).swallowed_error is not None


async def test_swallowing_around_nested_nurseries_is_reported() -> None:
    async def handler() -> None:
        try:
            async with trio.open_nursery() as outer:
                outer.start_soon(trio.sleep_forever)
                async with trio.open_nursery() as inner:
                    inner.start_soon(trio.sleep_forever)
                    inner.start_soon(trio.sleep_forever)
        except BaseException:
            pass

    assert (await disconnected(handler)).swallowed_error is not None


async def test_swallowing_out_of_a_group_with_an_error_beside_it_is_reported() -> None:
    async def fail_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise RuntimeError("while being cancelled")

    async def handler() -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                nursery.start_soon(fail_when_cancelled)
        except BaseExceptionGroup:
            pass

    assert (await disconnected(handler)).swallowed_error is not None


async def test_swallowing_inside_a_shielded_scope_that_ended_is_reported() -> None:
    async def handler() -> None:
        try:
            with trio.CancelScope(shield=True):
                await wait_all_tasks_blocked()
            await trio.sleep_forever()
        except BaseException:
            pass

    assert (await disconnected(handler)).swallowed_error is not None


async def test_a_suppressed_cancellation_in_an_own_scope_is_reported() -> None:
    async def handler() -> None:
        with trio.move_on_after(1000):
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                pass

    assert (await disconnected(handler)).swallowed_error is not None


async def test_a_handler_that_swallowed_and_met_it_again_has_not_swallowed_it() -> None:
    async def handler() -> None:
        try:
            await trio.sleep_forever()
        except BaseException:
            pass
        await trio.sleep(0)

    supervised = await disconnected(handler)
    assert supervised.swallowed_error is None
    assert supervised.was_cancelled


async def test_a_loop_of_except_base_exception_is_given_up_and_reported(autojump_clock: MockClock) -> None:
    rounds = 0

    async def handler() -> None:
        nonlocal rounds
        while True:
            try:
                await trio.sleep_forever()
            except BaseException as error:
                if isinstance(error, GeneratorExit):
                    raise
                rounds += 1

    start = trio.current_time()
    supervised = await disconnected(handler)
    assert supervised.swallowed_error is not None
    assert rounds < 1000
    assert 0 < trio.current_time() - start < 60


async def test_a_loop_that_swallows_even_its_closing_is_given_up(autojump_clock: MockClock) -> None:
    async def handler() -> None:
        while True:
            try:
                await trio.sleep_forever()
            except BaseException:
                pass

    assert (await disconnected(handler)).swallowed_error is not None


async def test_a_swallowing_loop_leaves_the_processor_to_others(autojump_clock: MockClock) -> None:
    async def handler() -> None:
        for _ in range(115):
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                pass

    start = trio.current_time()
    supervised = await disconnected(handler)
    assert supervised.swallowed_error is not None
    assert trio.current_time() - start == pytest.approx(15 * 0.05)  # after 100 free ones, a pause for each


async def test_a_swallowing_loop_with_an_open_nursery_is_slowed_down_and_not_left_behind(
    autojump_clock: MockClock,
) -> None:
    async def handler() -> None:
        async with trio.open_nursery():
            for _ in range(300):
                try:
                    await trio.sleep_forever()
                except BaseException:
                    pass

    start = trio.current_time()
    supervised = await disconnected(handler)
    assert supervised.swallowed_error is not None
    assert trio.current_time() - start == pytest.approx(200 * 0.05, rel=0.02)


# Those that do not


async def test_letting_it_propagate_is_no_swallowing() -> None:
    supervised = await disconnected(trio.sleep_forever)
    assert supervised.swallowed_error is None
    assert supervised.was_cancelled


async def test_raising_it_again_after_a_cleanup_is_no_swallowing() -> None:
    async def handler() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await trio.sleep(0)
            raise

    assert (await disconnected(handler)).swallowed_error is None


async def test_a_finally_that_awaits_is_no_swallowing() -> None:
    async def handler() -> None:
        try:
            await trio.sleep_forever()
        finally:
            await trio.sleep(0)

    assert (await disconnected(handler)).swallowed_error is None


async def test_a_nursery_that_lets_it_propagate_is_no_swallowing() -> None:
    async def handler() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(trio.sleep_forever)

    assert (await disconnected(handler)).swallowed_error is None


async def test_an_own_timeout_that_catches_its_own_cancellation_is_no_swallowing(autojump_clock: MockClock) -> None:
    async def handler() -> str:
        with trio.CancelScope(shield=True):
            for _ in range(3):
                with trio.move_on_after(1) as scope:
                    await trio.sleep_forever()
                assert scope.cancelled_caught
        return "in time"

    supervised = await disconnected(handler)
    assert supervised.returned == "in time"
    assert supervised.swallowed_error is None


async def test_an_own_shielded_timeout_is_no_swallowing(autojump_clock: MockClock) -> None:
    async def handler() -> None:
        with trio.move_on_after(5, shield=True):
            await trio.sleep_forever()

    assert (await disconnected(handler)).swallowed_error is None


async def test_cancelling_an_own_nursery_is_no_swallowing(autojump_clock: MockClock) -> None:
    async def handler() -> None:
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                await trio.sleep(1)
                nursery.cancel_scope.cancel(reason="enough")

    assert (await disconnected(handler)).swallowed_error is None


async def _late_shielded_timeout() -> None:
    with trio.move_on_after(1) as scope:
        scope.shield = True
        await trio.sleep_forever()


async def _late_shielded_nursery() -> None:
    async with trio.open_nursery() as nursery:
        nursery.cancel_scope.shield = True
        nursery.start_soon(trio.sleep_forever)
        await trio.sleep(1)
        nursery.cancel_scope.cancel(reason="enough")


@pytest.mark.parametrize("cleanup", [_late_shielded_timeout, _late_shielded_nursery])
async def test_a_shield_put_up_within_the_cancelled_scope_is_no_swallowing(
    autojump_clock: MockClock, cleanup: Handler
) -> None:
    # Entered after the disconnect and before the shield is up, a scope takes over the disconnect's reason for good.
    async def handler() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(1)  # the client leaves meanwhile
        await cleanup()

    assert (await disconnected(handler)).swallowed_error is None


async def test_swallowing_after_a_shield_put_up_within_the_cancelled_scope_is_reported(
    autojump_clock: MockClock,
) -> None:
    async def handler() -> None:
        try:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)  # the client leaves meanwhile
            await _late_shielded_timeout()
            await trio.sleep_forever()
        except BaseException:
            pass

    assert (await disconnected(handler)).swallowed_error is not None


async def test_own_timeouts_before_the_disconnect_are_no_swallowing(autojump_clock: MockClock) -> None:
    async def handler() -> None:
        for _ in range(200):
            with trio.move_on_after(1):
                await trio.sleep_forever()

    supervised = Supervised(handler)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervised.run)
        await trio.sleep(50.5)
        supervised.disconnect()
    assert supervised.swallowed_error is None
    assert supervised.was_cancelled


async def test_a_handler_that_meets_no_checkpoint_has_swallowed_nothing() -> None:
    supervised: Supervised

    async def handler() -> str:
        await trio.sleep(0)
        supervised.disconnect()
        return "done"

    supervised = Supervised(handler)
    await supervised.run()
    assert supervised.returned == "done"
    assert supervised.swallowed_error is None


async def test_waking_before_the_cancellation_and_returning_is_no_swallowing() -> None:
    event = trio.Event()
    supervised = Supervised(event.wait)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervised.run)
        await wait_all_tasks_blocked()
        event.set()
        supervised.disconnect()
    assert supervised.swallowed_error is None


async def test_ending_with_another_error_is_no_swallowing() -> None:
    async def handler() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            raise ValueError("no") from None

    supervised = await disconnected(handler)
    assert supervised.swallowed_error is None
    assert [type(error) for error in supervised.raised] == [ValueError]


async def test_swallowing_an_outer_cancellation_of_another_reason_is_not_reported() -> None:
    async def handler() -> None:
        try:
            await trio.sleep_forever()
        except BaseException:
            pass

    supervised = Supervised(handler)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervised.run)
        await wait_all_tasks_blocked()
        supervised.watch.reason = REASON
        nursery.cancel_scope.cancel(reason="the program ends")
    assert supervised.swallowed_error is None


async def test_a_child_that_swallows_in_its_own_task_is_not_charged_to_the_handler() -> None:
    async def child() -> None:
        try:
            await trio.sleep_forever()
        except BaseException:
            pass

    async def handler() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
            await trio.sleep_forever()

    supervised = await disconnected(handler)
    assert supervised.swallowed_error is None
    assert supervised.was_cancelled


async def test_an_error_before_any_disconnect_is_passed_on() -> None:
    async def handler() -> None:
        raise KeyError("x")

    supervised = Supervised(handler)
    await supervised.run()
    assert [type(error) for error in supervised.raised] == [KeyError]


# Otherwise it is not there


async def test_what_the_handler_returns_is_returned() -> None:
    async def handler() -> int:
        await trio.sleep(0)
        return 42

    supervised = Supervised(handler)
    await supervised.run()
    assert supervised.returned == 42


async def test_before_a_disconnect_nothing_that_goes_in_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []
    monkeypatch.setattr(HandlerWatch, "_raises_cancellation", lambda self, value: looked_at.append(value))

    async def handler() -> None:
        for _ in range(10):
            await trio.sleep(0)

    await Supervised(handler).run()
    assert looked_at == []


async def test_the_handler_runs_in_the_task_that_watches() -> None:
    tasks = []

    async def handler() -> None:
        tasks.append(trio.lowlevel.current_task())
        await trio.sleep(0)

    await Supervised(handler).run()
    assert tasks == [trio.lowlevel.current_task()]
