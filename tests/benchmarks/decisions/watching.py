"""How a swallowed cancellation is found: what each way sees, and what it costs."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import trio
import trio.testing

from triows.tasks.cancellation import HandlerWatch
from triows.tasks.waiter import Waiter

from ..engine import Part, Timed, measure_part
from ..measure import Effort
from ..report import Table, number
from .carrying import unwatched

_REASON = "websocket disconnected: 1001 going away"
_SWITCHES = 200
_CALLS = 500

Handler = Callable[[Callable[[], Awaitable[object]]], Coroutine[Any, Any, None]]


# Handlers. Each gets a function that waits like receive(). Those that catch BaseException make the mistake under test.


async def swallows_in_receive(receive: Callable[[], Awaitable[object]]) -> None:
    try:
        await receive()
    except BaseException:
        pass


async def swallows_elsewhere(_receive: Callable[[], Awaitable[object]]) -> None:
    try:
        await trio.sleep_forever()
    except BaseException:
        pass


async def swallows_around_a_nursery(_receive: Callable[[], Awaitable[object]]) -> None:
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
    except BaseException:
        pass


async def lets_it_through(receive: Callable[[], Awaitable[object]]) -> None:
    await receive()


async def cleans_up_within_its_own_time(receive: Callable[[], Awaitable[object]]) -> None:
    with trio.move_on_after(1, shield=True):
        await trio.sleep_forever()


async def meets_no_checkpoint(receive: Callable[[], Awaitable[object]]) -> None:
    with trio.CancelScope(shield=True):
        await trio.sleep(1)  # cancelled meanwhile, and done


WRONG = (swallows_in_receive, swallows_elsewhere, swallows_around_a_nursery)
RIGHT = (lets_it_through, cleans_up_within_its_own_time, meets_no_checkpoint)


# Ways to find out. Each runs a handler, cancels it, and says whether it has swallowed that.


async def looking_afterwards(handler: Handler) -> bool:
    """Cancelled, and returned all the same: what the scope and a nursery around the handler's task can tell."""
    returned = False

    async def run() -> None:
        nonlocal returned
        await handler(trio.sleep_forever)
        returned = True

    await _cancelled(run)
    return returned


async def checking_in_receive(handler: Handler) -> bool:
    """The calls of the framework note the cancellation that they raise."""
    raised = returned = False

    async def receive() -> None:
        nonlocal raised
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            raised = True
            raise

    async def run() -> None:
        nonlocal returned
        await handler(receive)
        returned = True

    await _cancelled(run)
    return raised and returned


async def driving(handler: Handler) -> bool:
    """What triows does."""
    watch: HandlerWatch | None = None

    async def run() -> None:
        nonlocal watch
        watch = HandlerWatch(handler)
        await watch.drive(handler(trio.sleep_forever))

    def cancel(scope: trio.CancelScope) -> None:
        assert watch is not None
        watch.reason = _REASON
        scope.cancel(reason=_REASON)

    await _cancelled(run, cancel)
    assert watch is not None
    return watch.swallowed_error is not None


def _cancel(scope: trio.CancelScope) -> None:
    scope.cancel(reason=_REASON)


async def _cancelled(run: Callable[[], Awaitable[None]], cancel: Callable[[trio.CancelScope], None] = _cancel) -> None:
    """Run it in a scope, and cancel that when everybody waits."""
    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()

        async def scoped() -> None:
            with scope:
                await run()

        nursery.start_soon(scoped)
        await trio.testing.wait_all_tasks_blocked()
        cancel(scope)


WAYS: dict[str, Callable[[Handler], Awaitable[bool]]] = {
    "a look afterwards": looking_afterwards,
    "checks in receive() and send()": checking_in_receive,
    "driving the handler": driving,
}


def verdict(way: str, handler: Handler) -> bool:
    """Whether this way takes the handler for one that swallows; in virtual time."""
    return trio.run(WAYS[way], handler, clock=trio.testing.MockClock(autojump_threshold=0))


# What it costs


async def _receive(waiter: Waiter) -> None:
    await waiter.park()


async def _checked(waiter: Waiter) -> None:
    try:
        await waiter.park()
    except trio.Cancelled:
        raise


async def _talk(receive: Callable[[Waiter], Awaitable[None]], waiter: Waiter, sender: Waiter) -> None:
    for _ in range(_SWITCHES):
        await receive(waiter)
        sender.wake()


async def _in_a_task(coroutine: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(coroutine)


async def _drive(coroutine: Callable[[], Coroutine[Any, Any, None]]) -> None:
    await HandlerWatch(coroutine).drive(coroutine())


async def _plainly(coroutine: Callable[[], Coroutine[Any, Any, None]]) -> None:
    await coroutine()


async def _switches(run: Callable[..., Awaitable[None]], receive: Callable[[Waiter], Awaitable[None]]) -> None:
    waiter, sender = Waiter(), Waiter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, functools.partial(_talk, receive, waiter, sender))
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(_SWITCHES):
            waiter.wake()
            await sender.park()


async def _calls(run: Callable[..., Awaitable[None]]) -> None:
    for _ in range(_CALLS):
        await run(trio.lowlevel.checkpoint)


def _timed(operations: int, function: Callable[..., Awaitable[None]], *args: Any) -> Callable[[], Timed]:
    return lambda: (functools.partial(trio.run, function, *args), operations)


_COSTS = (
    Part(
        "",
        "a message that wakes the handler",
        {
            "awaited": _timed(_SWITCHES, _switches, _plainly, _receive),
            "awaited, checks in receive()": _timed(_SWITCHES, _switches, _plainly, _checked),
            "driven": _timed(_SWITCHES, _switches, _drive, _receive),
            "in a task of its own": _timed(_SWITCHES, _switches, _in_a_task, _receive),
        },
    ),
    Part(
        "",
        "a handler that waits once",
        {
            "awaited": _timed(_CALLS, _calls, _plainly),
            "driven": _timed(_CALLS, _calls, _drive),
            "in a task of its own": _timed(_CALLS, _calls, _in_a_task),
        },
    ),
)


def measure(effort: Effort) -> list[Table]:
    """What each way finds; what it costs in process; and what driving costs a whole server."""
    found = [
        [handler.__name__, "wrong" if handler in WRONG else "right"]
        + ["swallows" if verdict(way, handler) else "-" for way in WAYS]
        for handler in (*WRONG, *RIGHT)
    ]
    costs = [
        [part.title, row.server, number(row.figures["time"]), f"{row.figures['ratio']:.2f}"]
        for part in _COSTS
        for row in measure_part(part, effort)
    ]
    return [
        Table("What is found", "", ["handler", "is", *WAYS], found),
        Table("What it costs", "", ["of", "handler", "cpu µs", "to the first"], costs),
        unwatched(effort),
    ]
