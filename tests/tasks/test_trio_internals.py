"""With each of Trio's private parts hidden from triows, in turn, connections begin and end as they do with all of them.

A part is hidden as a release of Trio would hide it that has renamed it: Trio itself finds it, and triows does not.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import types
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from outcome import Error
from trio.lowlevel import Abort, wait_task_rescheduled
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import Triows, websocket
from triows.tasks import trio_internals, waiter
from triows.tasks.shields import open_shields
from triows.tasks.stalls import EventLoop
from triows.tasks.trio_internals import (
    error_sent,
    held_back,
    innermost_scope,
    is_loop,
    is_shielded,
    scopes_inside,
    trap_type,
)
from triows.tasks.waiter import Waiter

from ..support.served import served

Hide = Callable[[pytest.MonkeyPatch], None]


class Hidden:
    """An attribute that is there for everybody but triows."""

    def __init__(self, owner: type, name: str) -> None:
        self.name = name
        self.original: Any = getattr(owner, name, None)

    def __get__(self, instance: Any, owner: type) -> Any:
        if sys._getframe(1).f_globals["__name__"].startswith("triows."):
            raise AttributeError(f"no {self.name} any more")
        if self.original is not None:
            return self.original.__get__(instance, owner)
        try:
            return instance.__dict__[self.name]
        except KeyError:
            raise AttributeError(self.name) from None

    def __set__(self, instance: Any, value: Any) -> None:
        if self.original is not None:
            self.original.__set__(instance, value)
        else:
            instance.__dict__[self.name] = value

    def __delete__(self, instance: Any) -> None:
        if self.original is not None:
            self.original.__delete__(instance)
        else:
            del instance.__dict__[self.name]


def find(module: str, name: str) -> Any:
    """Something inside of Trio; None if it has been renamed, so that there is nothing left to hide."""
    return getattr(getattr(trio._core, module, None), name, None)


def attribute(owner: type | None, name: str) -> Hide:
    def hide(monkeypatch: pytest.MonkeyPatch) -> None:
        if owner is not None:
            monkeypatch.setattr(owner, name, Hidden(owner, name), raising=False)

    return hide


def hide_error_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trio throws exceptions into coroutines, rather than sending an outcome."""
    runner = find("_run", "Runner")
    if runner is None:
        return
    reschedule = runner.reschedule

    def throwing(self: Any, task: Any, *next_send: Any) -> None:
        reschedule(self, task, *next_send)
        if next_send and isinstance(next_send[0], Error):
            task._next_send_fn, task._next_send = task.coro.throw, next_send[0].error

    monkeypatch.setattr(runner, "reschedule", throwing)


def hide_trap(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a waiting task yields needs two arguments."""
    if find("_traps", "WaitTaskRescheduled") is None or find("_run", "WaitTaskRescheduled") is None:
        return

    class Trap:
        def __init__(self, kind: str, abort_func: Callable[[Any], Abort]) -> None:
            self.abort_func = abort_func

    monkeypatch.setattr(trio._core._traps, "WaitTaskRescheduled", lambda abort_func: Trap("wait", abort_func))
    monkeypatch.setattr(trio._core._run, "WaitTaskRescheduled", Trap)
    monkeypatch.setattr(waiter, "_TRAP", trap_type())
    assert isinstance(Waiter(), waiter._PlainWaiter)


def hide_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    unrolled_run = find("_run", "unrolled_run")
    if unrolled_run is not None:
        monkeypatch.setattr(unrolled_run, "__code__", unrolled_run.__code__.replace(co_name="loop"))


CANCEL_STATUS = find("_run", "CancelStatus")

PARTS: dict[str, Hide] = {
    "Task._cancel_status": attribute(trio.lowlevel.Task, "_cancel_status"),
    "CancelStatus.parent": attribute(CANCEL_STATUS, "parent"),
    "CancelStatus._scope": attribute(CANCEL_STATUS, "_scope"),
    "CancelScope._cancel_status": attribute(trio.CancelScope, "_cancel_status"),
    "CancelStatus.children": attribute(CANCEL_STATUS, "children"),
    "CancelStatus.tasks": attribute(CANCEL_STATUS, "tasks"),
    "Nursery._pending_excs": attribute(trio.Nursery, "_pending_excs"),
    "coro.send(Error)": hide_error_sent,
    "WaitTaskRescheduled": hide_trap,
    "unrolled_run": hide_loop,
}


def test_the_table_has_each_part_that_is_hidden_here() -> None:
    table = (trio_internals.__doc__ or "").partition("private part")[2]
    assert re.findall(r"^``([^`]+)``", table, re.MULTILINE) == [*PARTS]


def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide nothing."""


@pytest.fixture(params=[nothing, *PARTS.values()], ids=["nothing", *PARTS])
def hide(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    request.param(monkeypatch)


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    return lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    """Run a program of its own, in which nothing has begun before the part was hidden."""
    return trio.run(main, clock=MockClock(autojump_threshold=0))


def app_of(handler: Callable[[], Awaitable[None]]) -> Triows:
    app = Triows(__name__, shutdown_timeout=7)
    app.add_websocket("/ws", "ws", handler)
    return app


async def leave(app: Triows) -> None:
    """Connect a client, and let it leave with a Close frame while its handler waits."""
    async with served(app) as target:
        wire = target.connect()
        await wire.handshake("/ws")
        await wait_all_tasks_blocked()
        await wire.close(1001, "bye")
        await wire.stream.aclose()


async def shut_down(app: Triows, last_resort: Callable[[], None] | None = None) -> float:
    """Shut a server down under one client; returns how long that took."""
    async with served(app) as target:
        target.server.last_resort = last_resort
        wire = target.connect()
        await wire.handshake("/ws")
        await wait_all_tasks_blocked()
        start = trio.current_time()
        target.server.shutdown()
        await wire.read_rest()
        await wire.stream.aclose()
    return trio.current_time() - start


@pytest.mark.usefixtures("hide")
def test_an_echo_is_an_echo(errors: Callable[[], list[str]]) -> None:
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    async def main() -> None:
        async with served(app_of(echo)) as target:
            wire = target.connect()
            await wire.handshake("/ws")
            for number in range(5):
                await wait_all_tasks_blocked()
                await wire.send_text(str(number))
                assert await wire.read_text() == str(number)
            await wire.close()
            await wire.stream.aclose()

    run(main)
    assert errors() == []


@pytest.mark.usefixtures("hide")
def test_a_disconnect_cancels_the_handler_with_its_reason_and_its_finally_can_wait(
    errors: Callable[[], list[str]],
) -> None:
    reasons: list[str | None] = []
    cleaned_up: list[str] = []

    async def waiting() -> None:
        try:
            await websocket.receive()
        except trio.Cancelled as cancelled:
            reasons.append(cancelled.reason)
            raise
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)
                cleaned_up.append("handler")

    async def child() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
                cleaned_up.append("child")

    async def handler() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
            await waiting()

    app = app_of(handler)
    run(lambda: leave(app))
    assert reasons == ["websocket disconnected: 1001 going away: bye"]
    assert cleaned_up == ["child", "handler"]
    assert errors() == []
    assert (app.counters.handler_errors, app.counters.swallowed_cancellations) == (0, 0)


@pytest.mark.usefixtures("hide")
def test_a_timeout_that_is_shielded_late_in_a_cleanup_is_not_accused(errors: Callable[[], list[str]]) -> None:
    async def handler() -> None:
        try:
            await websocket.receive()
        finally:
            with trio.move_on_after(1) as scope:
                scope.shield = True
                await trio.sleep_forever()

    run(lambda: leave(app_of(handler)))
    assert errors() == []


@pytest.mark.usefixtures("hide")
def test_a_handler_that_swallows_in_a_loop_is_given_up_and_reported(errors: Callable[[], list[str]]) -> None:
    async def handler() -> None:
        while True:
            try:
                await websocket.receive()
            except trio.Cancelled:
                pass

    run(lambda: leave(app_of(handler)))
    (error,) = errors()
    assert error.startswith(f"{handler.__qualname__}() ({__file__}:")
    assert " swallowed trio.Cancelled (websocket disconnected: 1001 going away: bye)" in error


@pytest.mark.usefixtures("hide")
def test_a_shutdown_cancels_the_handler_and_waits_for_its_cleanup(errors: Callable[[], list[str]]) -> None:
    kinds: list[str] = []

    async def handler() -> None:
        try:
            await websocket.receive()
        finally:
            assert websocket.disconnect is not None
            with trio.CancelScope(shield=True):
                await trio.sleep(2)
            kinds.append(websocket.disconnect.kind)

    app = app_of(handler)
    run(lambda: shut_down(app))
    assert kinds == ["shutdown"]
    assert errors() == []


@pytest.mark.usefixtures("hide")
def test_a_shutdown_names_a_handler_that_stays_behind_its_shield_and_ends(errors: Callable[[], list[str]]) -> None:
    """Where no shield can be opened, the handler is for the last resort, which ends the process; here it lets it go."""
    released: list[trio.Event] = []

    async def handler() -> None:
        released.append(trio.Event())
        await websocket.accept()
        with trio.CancelScope(shield=True):
            await released[0].wait()

    app = app_of(handler)
    took = run(lambda: shut_down(app, lambda: released[0].set()))
    assert took == pytest.approx(7.5, abs=0.5)
    line = handler.__code__.co_firstlineno
    assert errors() == [
        f"{handler.__qualname__}() ({__file__}:{line}) has not ended within shutdown_timeout, 7.0 seconds; "
        "ending it by force"
    ]


@pytest.mark.usefixtures("hide")
def test_a_shutdown_ends_background_tasks(errors: Callable[[], list[str]]) -> None:
    ended: list[float] = []

    async def sweep() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)
            ended.append(trio.current_time())

    async def main() -> None:
        app = Triows(__name__)
        async with app.test_app():
            app.nursery.start_soon(sweep)
            await wait_all_tasks_blocked()

    run(main)
    assert len(ended) == 1
    assert errors() == []


def place_of_this_task() -> str:
    loop = EventLoop()
    places: list[str] = []
    thread = threading.Thread(target=lambda: places.append(loop.activity().place))
    thread.start()
    thread.join()
    return places[0]


@pytest.mark.usefixtures("hide")
def test_a_task_that_holds_up_the_loop_is_found_at_its_place() -> None:
    async def main() -> str:
        return place_of_this_task()

    assert run(main).endswith(" in place_of_this_task")


@pytest.mark.usefixtures("hide")
def test_a_library_that_holds_up_the_loop_is_not_taken_for_the_caller_of_the_program() -> None:
    file = "/lib/site-packages/library.py"

    def of_library(function: types.FunctionType) -> Any:
        return types.FunctionType(function.__code__.replace(co_filename=file), function.__globals__)

    async def main(place: Callable[[], str]) -> str:
        return place()

    found = trio.run(of_library(main), of_library(place_of_this_task))  # type: ignore[arg-type]
    assert found.startswith(f"{file}:")


# What is missing then, as the table says


async def swallow_a_cancellation() -> None:
    with trio.CancelScope():
        try:
            await websocket.receive()
        except trio.Cancelled:
            pass


async def swallow_the_cancellation_of_a_nursery() -> None:
    await websocket.accept()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
    except BaseExceptionGroup:
        pass


SHIELDED = {"Task._cancel_status", "CancelStatus.parent", "CancelStatus._scope"}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("handler", "needed"),
    [
        (swallow_a_cancellation, SHIELDED),
        (swallow_the_cancellation_of_a_nursery, {*SHIELDED, "Nursery._pending_excs"}),
    ],
)
def test_a_handler_that_swallows_once_is_reported_if_trio_shows_what_is_needed(
    handler: Any, needed: set[str], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    PARTS[part](monkeypatch)
    app = app_of(handler)
    run(lambda: leave(app))
    assert app.counters.swallowed_cancellations == (part not in needed)


@pytest.mark.parametrize("part", PARTS)
def test_shields_are_opened_if_trio_shows_what_is_needed(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    PARTS[part](monkeypatch)
    kept: list[bool] = []

    async def main() -> None:
        with trio.CancelScope() as scope, trio.CancelScope(shield=True) as inner:
            kept.append(open_shields(scope))
            kept.append(inner.shield)

    run(main)
    assert kept == [True, part in {"CancelScope._cancel_status", "CancelStatus._scope", "CancelStatus.children"}]


# Each function alone, where Trio has changed beyond recognition


class Changed:
    """Whatever is asked of it fails in a way that nobody has thought of."""

    child_tasks = frozenset[trio.lowlevel.Task]()

    def __getattr__(self, name: str) -> Any:
        raise ZeroDivisionError(name)


async def test_an_unknown_task_is_neither_shielded_nor_not() -> None:
    assert is_shielded(types.SimpleNamespace(), None) is None  # type: ignore[arg-type]
    assert is_shielded(types.SimpleNamespace(_cancel_status=Changed()), None) is None  # type: ignore[arg-type]
    assert innermost_scope(types.SimpleNamespace()) is None  # type: ignore[arg-type]


async def test_shields_are_found_up_to_the_scope_outside_and_no_further() -> None:
    task = trio.lowlevel.current_task()
    with trio.CancelScope(shield=True):
        with trio.CancelScope():
            outside = innermost_scope(task)
            assert is_shielded(task, outside) is False
            with trio.CancelScope(shield=True):
                assert is_shielded(task, outside) is True
        assert is_shielded(task, None) is True


async def test_unknown_scopes_are_taken_for_occupied() -> None:
    assert scopes_inside(Changed(), lambda scope: False) is None  # type: ignore[arg-type]
    assert open_shields(Changed()) is True  # type: ignore[arg-type]


async def test_a_scope_that_nobody_is_in_has_none_inside() -> None:
    assert scopes_inside(trio.CancelScope(), lambda scope: False) == []
    assert open_shields(trio.CancelScope()) is False


async def test_a_scope_is_left_out_with_all_inside_it() -> None:
    with trio.CancelScope() as outer, trio.CancelScope() as kept, trio.CancelScope():
        assert scopes_inside(outer, lambda scope: scope is kept) == [(outer, False)]


async def test_a_nursery_whose_children_run_holds_nothing_back_yet() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        assert held_back([nursery]) == []
        nursery.cancel_scope.cancel()


async def test_unknown_nurseries_hold_nothing_back() -> None:
    assert held_back([Changed(), Changed()]) == []  # type: ignore[list-item]


def test_an_exception_is_known_however_trio_hands_it_in() -> None:
    error = ValueError()
    assert error_sent(Error(error)) is error
    assert error_sent(error) is error
    assert error_sent(None) is None


async def _yield(value: Any) -> Any:
    return await _Yielding(value)


class _Yielding:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __await__(self) -> Any:
        return (yield self.value)


class _Trap:
    def __init__(self, abort: Any) -> None:
        self.abort = abort

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Trap) and self.abort == other.abort


class _Kept(_Trap):
    """One that is known from another: the arguments do not tell all of it."""

    __eq__ = object.__eq__


async def _unwrapped_elsewhere(abort: Any) -> Any:
    return await _yield(_Trap(abort))


async def _waits_twice(abort: Any) -> Any:
    await _yield(_Trap(abort))
    await _yield(_Trap(abort))


async def _yields_another_each_time(abort: Any) -> Any:
    (await _yield(_Kept(abort))).unwrap()


async def _yields_a_tuple(abort: Any) -> Any:
    (await _yield(("wait", abort))).unwrap()


def _is_not_async(abort: Any) -> None:
    return None


@pytest.mark.parametrize(
    "changed", [_unwrapped_elsewhere, _waits_twice, _yields_another_each_time, _yields_a_tuple, _is_not_async]
)
def test_a_trap_of_another_shape_is_not_made_by_us(changed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trio_internals, "wait_task_rescheduled", changed)
    assert trap_type() is None


def test_a_trap_of_this_shape_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async def same(abort: Any) -> Any:
        return (await _yield(_Trap(abort))).unwrap()

    monkeypatch.setattr(trio_internals, "wait_task_rescheduled", same)
    assert trap_type() is _Trap


async def test_the_frame_of_the_event_loop_is_among_those_around_a_task() -> None:
    frame = sys._getframe()
    around = []
    while frame.f_back is not None:
        frame = frame.f_back
        around.append(is_loop(frame))
    assert around.count(True) == 1


async def test_what_this_trio_yields_is_known() -> None:
    """Unless it fails here, a new Trio costs nothing."""
    assert trap_type() is not None
    assert wait_task_rescheduled is trio_internals.wait_task_rescheduled
