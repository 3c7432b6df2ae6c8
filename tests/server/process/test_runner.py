"""The signals that end a process, in virtual time; and its surroundings, whose names may be no text."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import Triows
from triows.server.process.reloading import Parent
from triows.server.process.runner import _announce, _shorten_shutdown, _stopping_on_signals
from triows.server.process.watchdog import ShutdownWatchdog

from ...support.commands import APP, command, write
from ...support.http import get
from ...support.wire import Wire

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Exited(BaseException):
    """The process would have ended here, with this code."""


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> None:
    def exit_(code: int) -> NoReturn:
        raise Exited(code)

    monkeypatch.setattr(os, "_exit", exit_)


@pytest.fixture
async def stop(mock_clock: MockClock, exits: None) -> AsyncIterator[trio.CancelScope]:
    """The scope that the first signal cancels, while signals are handled."""
    scope = trio.CancelScope()
    with _stopping_on_signals(scope, ShutdownWatchdog(lambda: None), None):
        yield scope


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
async def test_signals_in_quick_succession_are_one(
    stop: trio.CancelScope, mock_clock: MockClock, first: signal.Signals, second: signal.Signals
) -> None:
    signal.raise_signal(first)
    for _ in range(4):
        mock_clock.jump(0.12)
        signal.raise_signal(second)
    await wait_all_tasks_blocked()
    assert stop.cancel_called


@pytest.mark.parametrize(("timeout", "shortened"), [(None, 2), (10, 2), (1, 1)])
async def test_a_restart_does_not_wait_for_long(timeout: float | None, shortened: float) -> None:
    app = Triows("restarted", shutdown_timeout=timeout)
    reading, writing = os.pipe()
    parent = Parent(reading, ())
    ended = trio.Event()
    token = trio.lowlevel.current_trio_token()
    parent.on_restart = partial(_shorten_shutdown, app)
    parent.on_end = partial(token.run_sync_soon, ended.set)
    os.write(writing, b"r")
    os.close(writing)
    await ended.wait()
    os.close(reading)
    assert app.limits.shutdown_timeout == shortened


START_UP = """
from triows import Triows

app = Triows(__name__)

@app.before_serving
async def start():
    try:
        raise KeyError("a")
    except KeyError as error:
        raise {error} from error

if __name__ == "__main__":
    app.run(port=0)
"""


async def _start_loses_causes() -> bool:
    """Whether Trio takes an error's cause away where ``nursery.start()`` raises the error, as older releases do."""

    async def fail(*, task_status: trio.TaskStatus[None]) -> None:
        raise ValueError("b") from KeyError("a")

    with pytest.raises(ExceptionGroup) as caught:
        async with trio.open_nursery() as nursery:
            await nursery.start(fail)
    return caught.value.exceptions[0].__cause__ is None


@pytest.mark.parametrize("arguments", [(), ("-m", "triows", "run", "--port", "0")], ids=["app.run()", "command"])
@pytest.mark.parametrize(("error", "code"), [("SystemExit(4)", 4), ("ValueError('b')", 1)])
def test_an_error_at_start_up_ends_the_program_as_it_is(
    arguments: tuple[str, ...], error: str, code: int, tmp_path: Path
) -> None:
    place = write(tmp_path / "start.py", START_UP.format(error=error))
    done = subprocess.run([sys.executable, *arguments, place], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert "ExceptionGroup" not in done.stderr
    if code == 1:  # the traceback has the error's cause, and no other
        assert done.stderr.endswith("ValueError: b\n")
        causes = 0 if trio.run(_start_loses_causes) else 1
        assert done.stderr.count("KeyError: 'a'") == causes
        assert done.stderr.count("Traceback") == 1 + causes


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("echoes", [0, 3])
async def test_a_later_signal_ends_the_process_at_once(
    stop: trio.CancelScope, mock_clock: MockClock, number: signal.Signals, echoes: int
) -> None:
    signal.raise_signal(signal.SIGINT)
    for _ in range(echoes):
        signal.raise_signal(number)
    mock_clock.jump(0.51)
    with pytest.raises(Exited) as caught:
        signal.raise_signal(number)
    assert caught.value.args == (128 + number,)


# Names that are not UTF-8

ODD = os.fsdecode(b"caf\xe9")  # in latin-1
NOT_UTF_8 = pytest.mark.skipif(sys.platform == "darwin", reason="the system has no such names")
# Where the locale is a real one, Python is strict about what it prints.
STRICT = {"PYTHONIOENCODING": "utf-8:strict"}
SESSION_APP = APP.replace("import Triows", "import Triows, session").replace(
    'return "hello"', "session['seen'] = True; return __name__.encode(errors='surrogateescape')"
) + ("app.config.from_prefixed_env()\n")


@NOT_UTF_8
async def test_names_that_are_not_utf_8_are_served_as_any_others(tmp_path: Path) -> None:
    folder = tmp_path / ODD
    place = write(folder / f"{ODD}.py", SESSION_APP)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(folder / "notify"))
        environment = {
            f"TRIOWS_{ODD}": ODD,
            "TRIOWS_SECRET_KEY": ODD,
            "LISTEN_FDNAMES": ODD,
            "NOTIFY_SOCKET": str(folder / "notify"),
            **STRICT,
        }
        async with command(place, address=["--host", f"unix:{folder}/socket"], **environment) as served:
            line = await served.line()
            assert line == f"Running on unix:{folder}/socket (CTRL + C to quit)".replace(ODD, "caf\\udce9")
            assert systemd.recv(100).startswith(b"READY=1")
            wire = Wire(await trio.open_unix_socket(folder / "socket"))
            await wire.send(get("/", "Connection: close"))
            response = await wire.read_response()
            assert (response.status, response.body) == (200, b"caf\xe9")
            assert response.headers["set-cookie"].startswith("session=")
            await wire.stream.aclose()
            code, errors = await served.end(signal.SIGTERM)
    assert code == 0
    assert '"GET / HTTP/1.1" 200' in errors
    assert not (folder / "socket").exists()


@NOT_UTF_8
async def test_a_working_directory_that_is_not_utf_8_is_one_as_any_other(tmp_path: Path) -> None:
    write(tmp_path / ODD / "chat.py")
    wrapper = ["env", "--chdir", str(tmp_path / ODD)]
    async with command("chat", wrapper=wrapper, **STRICT) as served:
        await served.address()
        assert (await served.end(signal.SIGTERM))[0] == 0


@NOT_UTF_8
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((f"{ODD}.py",), "there is no file caf\\udce9.py; did you mean 'chat.py'?"),
        ((ODD,), "there is no module caf\\udce9 (for a file, write caf\\udce9.py)"),
        (("chat.py", "--host", ODD), "cannot listen on caf\\udce9:8000: there is no such host"),
        (
            ("chat.py", "--host", f"unix:{ODD}/socket"),
            "cannot listen on unix:caf\\udce9/socket: there is no such directory",
        ),
        (("chat.py", "--certfile", ODD), "cannot read caf\\udce9: No such file or directory"),
    ],
)
async def test_a_complaint_about_a_name_that_is_not_utf_8_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    write(tmp_path / "chat.py")
    async with command(*arguments, address=(), wrapper=["env", "--chdir", str(tmp_path)], **STRICT) as served:
        assert await served.errors() == f"triows: {said}\n"
        assert await served.process.wait() == 2


def test_a_path_that_the_terminal_cannot_show_is_escaped() -> None:
    said = []

    def announce(text: str) -> None:
        text.encode("ascii")
        said.append(text)

    class Server:
        addresses = ("/run/café.sock", ("127.0.0.1", 80))

    _announce(announce, False, cast(Any, Server))
    assert said == [
        "Running on unix:/run/caf\\xe9.sock (CTRL + C to quit)",
        "Running on http://127.0.0.1:80 (CTRL + C to quit)",
    ]
