"""Who holds up the event loop is found out and named, with the place and the time."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import pytest
import trio
from trio.testing import MockClock

from triows import Triows, request, websocket
from triows.connection.stats import Counters
from triows.tasks import stalls
from triows.tasks.stalls import EventLoop, Watched, stalls_watched

from ..support.records import error_log, lines
from ..support.wire import Wire


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    def messages() -> list[str]:
        assert all(record.levelno == logging.WARNING for record in caplog.records)
        return lines(error_log(caplog))

    return messages


class Look:
    """What the watching thread does, at times that the test makes up, in seconds from a beginning."""

    def __init__(self, timeout: float = 1.0) -> None:
        self.counters = Counters()
        loop = EventLoop()
        loop.token = self  # type: ignore[assignment]
        self.watched = Watched(loop)
        self.watched.users.append((timeout, self.counters.count_stall))

    def run_sync_soon(self, function: Callable[[], None]) -> None:
        """Instead of the event loop's: the loop gives no sign of life but in :meth:`end`."""

    def at(self, *times: float, due: float | None = None) -> None:
        """Hold up the loop while the other thread looks at it at these times."""
        for now in times:
            thread = threading.Thread(target=self.watched.check, args=(now if due is None else due, now))
            thread.start()
            thread.join()

    def end(self, seconds: float) -> None:
        """Let the loop give its sign of life, and the thread see it."""
        heartbeat = self.watched._heartbeat
        assert heartbeat is not None
        heartbeat.beat_at = seconds
        self.at(seconds + 0.25)


async def test_a_stall_is_logged_when_it_is_over_with_its_place_and_time(log: Callable[[], list[str]]) -> None:
    look = Look()
    look.at(0, 0.5, 0.75, 1)
    line = look.at.__code__.co_firstlineno + 4
    assert log() == []
    look.end(1.5)
    task = trio.lowlevel.current_task()
    assert log() == [
        f"task {task.name} held up the event loop for 1.5 s, at {__file__}:{line} in Look.at",
    ]
    assert look.counters.stalls == 1


async def test_what_takes_less_than_the_timeout_is_no_stall(log: Callable[[], list[str]]) -> None:
    look = Look()
    look.at(0, 0.5, 0.75)
    look.end(0.99)
    assert log() == []
    assert look.counters.stalls == 0


async def test_each_stall_is_logged(log: Callable[[], list[str]]) -> None:
    look = Look()
    look.at(0, 1)
    look.end(2)
    look.at(3)
    look.end(5.25)
    assert [re.findall(r"for ([\d.]+) s", message) for message in log()] == [["2.0"], ["3.0"]]
    assert look.counters.stalls == 2


async def test_a_stall_that_goes_on_is_logged_once_before_its_end(log: Callable[[], list[str]]) -> None:
    look = Look()
    look.at(0, 5, 9.9)
    assert log() == []
    look.at(10.1, 15, 20)
    (message,) = log()
    assert "has held up the event loop for 10.1 s and still does, at " in message
    look.end(21)
    assert "held up the event loop for 21.0 s, at " in log()[1]
    assert look.counters.stalls == 1


async def test_a_loop_that_lives_is_left_alone(log: Callable[[], list[str]]) -> None:
    look = Look()
    for seconds in range(5):
        look.at(seconds)
        look.end(seconds + 0.1)
    assert log() == []


async def test_a_computation_that_held_up_the_watching_thread_too_is_found_in_one_look(
    log: Callable[[], list[str]],
) -> None:
    look = Look()
    look.at(4, due=1)
    look.end(4)
    assert "held up the event loop for 3.0 s" in log()[0]


async def test_a_process_that_was_stopped_is_nobodys_stall(log: Callable[[], list[str]]) -> None:
    look = Look()

    def check() -> None:
        while look.watched.loop.activity().task is not None:
            pass  # the task is still on its way to where it waits for this thread
        look.watched.check(1, 60)

    await trio.to_thread.run_sync(check)
    look.end(60)
    assert log() == []


async def test_many_tasks_that_hold_up_the_loop_together_are_told_from_one(log: Callable[[], list[str]]) -> None:
    look = Look()
    look.at(0, 0.5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_look_from_another_task, look)
    look.end(1.2)
    assert log()[0].startswith("many tasks together held up the event loop for 1.2 s; the last one seen was task ")
    assert "_look_from_another_task, at " in log()[0]


async def _look_from_another_task(look: Look) -> None:
    look.at(1)


def stalling_app(look: Callable[[], Look]) -> Triows:
    app = Triows(__name__)

    @app.websocket("/ws")
    async def stalling() -> None:
        await websocket.accept()
        look().at(0, 1)
        look().end(1)

    @app.websocket("/child")
    async def parent() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stalling)

    @app.route("/")
    async def page() -> str:
        look().at(0, 1)
        look().end(1)
        return "late"

    @app.before_request
    async def hook() -> None:
        if request.path == "/hook":
            look().at(0, 1)
            look().end(1)

    return app


@pytest.mark.parametrize(
    ("path", "name"), [("/ws", "stalling"), ("/child", "parent")], ids=["the handler", "a child of it"]
)
async def test_the_handler_of_a_websocket_is_named_with_file_and_line(
    path: str, name: str, log: Callable[[], list[str]]
) -> None:
    looks: list[Look] = []
    app = stalling_app(lambda: looks[0])
    looks.append(Look())
    async with app.test_client().websocket(path) as ws:
        await ws.close()
    function = app.view_functions[name]
    assert log()[0].startswith(f"{function.__qualname__}() ({__file__}:{function.__code__.co_firstlineno}) held up")


async def test_the_handler_of_a_request_is_named(log: Callable[[], list[str]]) -> None:
    look = Look()
    app = stalling_app(lambda: look)
    await app.test_client().get("/")
    assert log()[0].startswith(f"{app.view_functions['page'].__qualname__}() ({__file__}:")


async def test_outside_of_the_handler_the_path_is_named(log: Callable[[], list[str]]) -> None:
    look = Look()
    await stalling_app(lambda: look).test_client().get("/hook?token=secret")
    assert log()[0].startswith("request for b'/hook' held up")


async def test_background_tasks_are_named_also_those_that_a_handler_started(log: Callable[[], list[str]]) -> None:
    app = Triows(__name__)
    look = Look()
    ended = trio.Event()

    async def sweep() -> None:
        look.at(0, 1)
        look.end(1)
        ended.set()

    @app.route("/")
    async def start() -> str:
        app.nursery.start_soon(sweep)
        return "started"

    async with app.test_app() as tested:
        await tested.test_client().get("/")
        await ended.wait()
    assert log()[0].startswith(f"background task {__name__}.{sweep.__qualname__} held up")


async def test_the_place_is_in_the_users_code_also_where_a_library_is_innermost() -> None:
    loop = EventLoop()
    found: list[str] = []

    def look_from_another_thread(match: re.Match[str]) -> str:
        thread = threading.Thread(target=lambda: found.append(loop.activity().place))
        thread.start()
        thread.join()
        return ""

    def users_code() -> None:
        re.sub("x", look_from_another_thread, "x")

    users_code()
    # The innermost frames are those of the thread's join(), in the standard library.
    assert found[0].endswith("look_from_another_thread")
    assert found[0].startswith(__file__)


async def test_a_thread_without_frames_is_nowhere() -> None:
    loop = EventLoop()
    loop._thread = -1  # one that has ended
    assert loop.activity().place == "nowhere"


async def test_a_set_of_tasks_that_changes_meanwhile_is_a_loop_that_lives(log: Callable[[], list[str]]) -> None:
    class Changing:
        coro = None
        child_nurseries = ()

        @property
        def child_tasks(self) -> object:
            raise RuntimeError("Set changed size during iteration")

    look = Look()
    look.watched.loop._root = Changing()  # type: ignore[assignment]
    Changing.child_nurseries = (Changing(),)  # type: ignore[assignment]
    look.at(0, 1)
    look.end(1.5)
    assert log() == []


async def test_a_callback_of_the_loop_is_found_at_its_place() -> None:
    loop = EventLoop()
    found: list[stalls.Activity] = []
    looked = trio.Event()

    def look() -> None:
        thread = threading.Thread(target=lambda: found.append(loop.activity()))
        thread.start()
        thread.join()
        looked.set()

    trio.lowlevel.current_trio_token().run_sync_soon(look)
    await looked.wait()
    assert found[0].place.endswith(f" in {look.__qualname__}")


# The thread


async def test_it_is_found_with_a_thread_and_a_real_clock(
    log: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it once: the loop hangs until the thread has said so."""
    monkeypatch.setattr(stalls, "_WARN_AFTER", 0.05)
    noticed = threading.Event()

    class Notice(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            noticed.set()

    app = Triows(__name__, stall_timeout=0.04)

    @app.websocket("/ws")
    async def stalling() -> None:
        await websocket.accept()
        assert noticed.wait(30)

    handler, server_log = Notice(), logging.getLogger("triows.error")
    server_log.addHandler(handler)
    try:
        async with trio.open_nursery() as nursery:
            server = await nursery.start(partial(app.serve, access_log=False), "127.0.0.1", 0)
            wire = Wire(await trio.open_tcp_stream("127.0.0.1", server.port))
            await wire.handshake("/ws")
            assert await wire.read_close() == (1000, "")
            await wire.stream.aclose()
            with trio.fail_after(30):
                while app.counters.stalls == 0:
                    await trio.sleep(0.01)
            server.shutdown()
    finally:
        server_log.removeHandler(handler)
    line = stalling.__code__.co_firstlineno
    assert log()[0].startswith(f"{stalling.__qualname__}() ({__file__}:{line}) has held up the event loop for 0.")
    assert log()[0].endswith(f"{__file__}:{line + 3} in {stalling.__code__.co_qualname}")
    assert "held up" in log()[1]


def watching() -> bool:
    return any(thread.name == "triows stalls" for thread in threading.enumerate())


async def until_nobody_watches() -> None:
    with trio.fail_after(30):
        while watching():
            await trio.sleep(0.001)


async def test_the_thread_ends_with_the_last_user() -> None:
    with stalls_watched(1, Counters().count_stall):
        with stalls_watched(2, Counters().count_stall):
            assert watching()
        assert watching()
    await until_nobody_watches()
    with stalls_watched(1, Counters().count_stall):
        assert watching()
    await until_nobody_watches()


async def test_none_looks_for_nothing() -> None:
    async with Triows(__name__, stall_timeout=None).test_app():
        assert not watching()


async def test_a_virtual_clock_is_not_watched(autojump_clock: MockClock) -> None:
    async with Triows(__name__).test_app():
        assert not watching()


def test_a_program_that_ends_without_a_word_is_forgotten() -> None:
    async def leave() -> None:
        stalls._watcher.add((0.01, Counters().count_stall))

    trio.run(leave)
    trio.run(until_nobody_watches)


async def test_two_programs_in_one_process_are_told_apart() -> None:
    ours, others = Counters(), Counters()
    begun, go_on = threading.Event(), threading.Event()

    async def stall() -> None:
        with stalls_watched(0.02, others.count_stall):
            begun.set()
            while not go_on.is_set():
                time.sleep(0.001)
            while others.stalls == 0:
                await trio.sleep(0.001)

    with stalls_watched(30, ours.count_stall):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, trio.run, stall)
            while not begun.is_set():
                await trio.sleep(0)
            with trio.move_on_after(0.1):
                await trio.sleep_forever()
            go_on.set()
    assert (ours.stalls, others.stalls) == (0, 1)


# A look that fails


async def test_a_look_that_fails_ends_no_watching_and_is_logged_once_a_loop(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def fail(self: Watched, due: float, now: float) -> None:
        nonlocal looks
        looks += 1
        raise TypeError("no look")

    async def looked_at(times: int) -> None:
        with trio.fail_after(30):
            while looks < times:
                await trio.sleep(0.001)

    with stalls_watched(0.004, Counters().count_stall):
        monkeypatch.setattr(Watched, "check", fail)
        await looked_at(3)
        assert watching()
        monkeypatch.undo()
        assert [record.getMessage() for record in caplog.records] == [
            "looking for stalls failed; it goes on, and this is not logged again"
        ]
        assert caplog.records[0].exc_info is not None
        assert str(caplog.records[0].exc_info[1]) == "no look"
    await until_nobody_watches()


async def test_a_callback_that_fails_is_no_end_of_the_watching_and_costs_no_other_its_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        raise ValueError("no callback")

    look = Look()
    look.watched.users.insert(0, (1.0, fail))
    for stall in (0, 10):
        look.at(stall, stall + 1)
        look.end(stall + 2)
    assert look.counters.stalls == 2
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
        "counting a stall failed",
        "counting a stall failed",
    ]


@pytest.mark.parametrize(("worked", "since"), [(0.0, 100.0), (99.0, 0.001)], ids=["stopped", "held up"])
def test_a_process_that_was_stopped_has_no_stall(worked: float, since: float, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = stalls._Watcher()
    looks = []

    class Loop:
        timeout = 0.004

        def check(self, due: float, now: float) -> None:
            looks.append((due, now))
            watcher._watched.clear()

    here, clock, processor = threading.get_ident(), iter((0.0, 100.0)), iter((0.0, worked))
    real = time.monotonic, time.process_time

    def monotonic() -> float:
        return next(clock) if threading.get_ident() == here else real[0]()  # a watcher of before may be ending

    def process_time() -> float:
        return next(processor) if threading.get_ident() == here else real[1]()

    monkeypatch.setattr(stalls, "time", SimpleNamespace(monotonic=monotonic, process_time=process_time))
    watcher._watched[object()] = Loop()  # type: ignore[index, assignment]
    watcher._run()
    assert looks == [(since, 100.0)]
