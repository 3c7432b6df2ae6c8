"""``triows run --reload``: two processes that share sockets and a terminal, and end together."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import ssl
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from triows.server.process import reloading
from triows.server.process.reloading import _name_files, syntax_error

from ...support.commands import APP, Command, certificate, command, write
from ...support.wire import Wire

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
SLOW_TO_END = (
    APP
    + """
import trio

@app.after_serving
async def slow():
    print("shutting down")
    await trio.sleep(0.5)
    print("shut down")
"""
)
# Its module is loaded when somebody has opened the gate.
GATED = (
    """
import os
print("at the gate")
open("gate").close()
"""
    + APP
    + """
@app.get("/process")
async def process():
    return str(os.getpid())

@app.after_serving
async def say():
    print("shut down")
"""
)


async def ask(stream: trio.abc.Stream) -> bytes:
    async with stream:
        wire = Wire(stream)
        await wire.send(GET)
        return (await wire.read_response()).body


async def change_until_seen(served: Command, change: Callable[[int], object]) -> None:
    """Change a file until the command has seen it: its watch may not be there yet for the first change."""
    seen = trio.CancelScope()

    async def go_on() -> None:
        number = 0
        with seen:
            while True:
                change(number := number + 1)
                await trio.sleep(0.5)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(go_on)
        assert (await served.line()).endswith("chat.py changed, restarting")
        seen.cancel()


async def open_gate(folder: Path) -> None:
    # Opening it waits for the reader.
    await trio.to_thread.run_sync(lambda: os.close(os.open(folder / "gate", os.O_WRONLY)), abandon_on_cancel=True)


def is_taken(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


# Restarting


def test_files_are_named_as_seen_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    here, elsewhere = str(folder / "pkg" / "a.py"), str(tmp_path / "b.py")
    assert [_name_files(files) for files in ([here], [elsewhere], [here, elsewhere], [here, here, here])] == [
        "pkg/a.py",
        elsewhere,
        "pkg/a.py and 1 other file",
        "pkg/a.py and 2 other files",
    ]
    assert _name_files([f"{folder}/caf\udce9.py"]) == "caf\\udce9.py"


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.py", b"x = 1", None),
        ("a.py", b"'\\d'", None),
        ("a.py", b"x = = 1", "SyntaxError: invalid syntax"),
        ("a.py", b"x\0", "null bytes"),
        ("a.py", b"'\xe9'", "SyntaxError: (unicode error)"),
        ("a.pyx", b"x = = 1", None),
        ("gone.py", None, None),
    ],
)
def test_a_file_that_cannot_be_compiled_is_found(tmp_path: Path, name: str, content: bytes | None, error: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    found = syntax_error(str(path))
    assert found is None if error is None else error in str(found)


async def test_it_restarts_when_a_file_changes_and_stays_at_its_port(tmp_path: Path) -> None:
    place = tmp_path / "chat.py"
    async with command(write(place), "--reload", "--no-access-log") as served:
        _, port = await served.address()
        assert await ask(await trio.open_tcp_stream("127.0.0.1", port)) == b"hello"
        write(place, "a =")  # before the watch is there, maybe
        assert await served.line() == (
            f"triows: {place} changed, with a syntax error; the app goes on as it was, and restarts when that is mended"
        )
        assert [await served.line() for _ in range(4)] == [
            f'  File "{place}", line 1',
            "    a =",
            "       ^",
            "SyntaxError: invalid syntax",
        ]
        assert await ask(await trio.open_tcp_stream("127.0.0.1", port)) == b"hello"
        write(place, APP.replace("hello", "changed"))
        assert await served.line() == f"triows: {place} changed, restarting"
        assert (await served.address())[1] == port
        assert await ask(await trio.open_tcp_stream("127.0.0.1", port)) == b"changed"
        assert await served.end(signal.SIGTERM) == (0, "")
    assert not is_taken(port)


@pytest.mark.parametrize("kind", ["tcp", "tls", "unix", "two inherited"])
async def test_clients_that_come_while_it_restarts_are_served_by_the_next_process(tmp_path: Path, kind: str) -> None:
    os.mkfifo(tmp_path / "gate")
    place = tmp_path / "chat.py"
    write(place, GATED)
    options: dict[str, Any] = {}
    extra: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        if kind == "tls":
            certfile, keyfile, authority = certificate(tmp_path)
            authority.configure_trust(context)
            extra = ["--certfile", certfile, "--keyfile", keyfile]
        elif kind == "unix":
            options = {"address": ("--host", f"unix:{tmp_path}/socket")}
        elif kind == "two inherited":
            fds = [one.fileno(), two.fileno()]
            options = {"address": ("--fd", str(fds[0]), "--fd", str(fds[1])), "fds": fds}
        async with command("chat.py", "--reload", "--no-access-log", *extra, folder=tmp_path, **options) as served:
            assert await served.line() == "at the gate"
            await open_gate(tmp_path)
            ports = [int(match[1]) if (match := re.search(r":(\d+) ", await served.line())) else 0]
            if kind == "two inherited":
                assert f":{two.getsockname()[1]} " in await served.line()
                ports.append(two.getsockname()[1])
            write(place, GATED.replace("hello", "changed"))
            assert [await served.line() for _ in range(3)] == [
                "triows: chat.py changed, restarting",
                "shut down",
                "at the gate",
            ]
            answers: list[bytes] = []

            async def come(stream: trio.abc.Stream) -> None:
                if kind == "tls":
                    stream = trio.SSLStream(stream, context, server_hostname="localhost", https_compatible=True)
                answers.append(await ask(stream))

            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    for port in ports:
                        if kind == "unix":
                            stream: trio.abc.Stream = await trio.open_unix_socket(tmp_path / "socket")
                        else:
                            stream = await trio.open_tcp_stream("127.0.0.1", port)
                        nursery.start_soon(come, stream)
                await open_gate(tmp_path)
            assert set(answers) == {b"changed"}
            code, errors = await served.end(signal.SIGTERM)
            assert (code, errors) == (0, "")
    assert not (tmp_path / "socket").exists()


async def test_reloading_hands_an_inherited_socket_on(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as inherited:
        fd = inherited.fileno()
        place = write(tmp_path / "chat.py")
        async with command(place, "--reload", address=("--fd", str(fd)), fds=[fd]) as served:
            assert (await served.address())[1] == inherited.getsockname()[1]
            code, _ = await served.end(signal.SIGTERM)
    assert code == 0


async def test_an_interrupt_while_reloading_ends_it_in_order(tmp_path: Path) -> None:
    async with command(write(tmp_path / "chat.py", SLOW_TO_END), "--reload") as served:
        await served.address()
        os.killpg(served.process.pid, signal.SIGINT)  # as Ctrl+C in a terminal does
        assert [await served.line(), await served.line()] == ["shutting down", "shut down"]
        assert await served.process.wait() == 0


async def test_an_app_that_fails_is_told_and_starts_when_it_is_mended_and_clients_wait(tmp_path: Path) -> None:
    place = tmp_path / "chat.py"
    async with command(write(place, "1 / 0"), "--reload", "--no-access-log", address=("--port", "0")) as served:
        assert await served.line() == "triows: the app has ended with exit code 2; it starts again when a file changes"
        await change_until_seen(served, lambda number: write(place, APP + "#" * number))
        _, port = await served.address()
        assert await ask(await trio.open_tcp_stream("127.0.0.1", port)) == b"hello"
        code, errors = await served.end(signal.SIGTERM)
    assert code == 0
    assert "ZeroDivisionError" in errors


def test_clients_wait_for_a_while_and_are_turned_away_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now, turned_away = [100.0], list[Any]()
    monkeypatch.setattr(reloading.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(reloading, "turn_away", turned_away.append)
    said: list[str] = []
    reloader = reloading.Reloader([], [], said.append)
    ended: Any = type("Child", (), {"poll": lambda self: 2})()
    counts = []
    for second in (0.0, 0.5, 0.9, 1.0, 1.2):
        now[0] = 100 + second
        reloader._note_end(ended)
        counts.append(len(turned_away))
    assert counts == [0, 0, 0, 1, 2]
    assert said == ["triows: the app has ended with exit code 2; it starts again when a file changes"]


async def test_an_app_that_a_signal_has_ended_is_told(tmp_path: Path) -> None:
    place = write(tmp_path / "chat.py", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    async with command(place, "--reload") as served:
        assert await served.line() == "triows: the app has ended by SIGKILL; it starts again when a file changes"
        assert await served.end(signal.SIGTERM) == (0, "")


async def test_systemds_sockets_are_the_childs(tmp_path: Path) -> None:
    as_systemd = (
        "import os, sys\nfd, *command = sys.argv[1:]\nos.dup2(int(fd), 3)\n"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')\nos.execv(command[0], command)"
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        fd, port = listening.fileno(), listening.getsockname()[1]
        wrapper = (sys.executable, "-c", as_systemd, str(fd))
        place = write(tmp_path / "chat.py")
        async with command(place, "--reload", address=(), fds=[fd], wrapper=wrapper) as served:
            assert (await served.address())[1] == port


async def test_processes_that_the_app_starts_inherit_neither_sockets_nor_pipe(tmp_path: Path) -> None:
    text = APP + (
        "\nimport os, subprocess, sys\n"
        "assert 'TRIOWS_RELOADED' not in os.environ\n"
        "subprocess.run(['ls', '-l', '/proc/self/fd'], close_fds=False, check=True)\n"
    )
    async with command(write(tmp_path / "chat.py", text), "--reload") as served:
        found = []
        while not (line := await served.line()).startswith("Running on"):
            found.append(line.partition(" -> ")[2])
    assert [target for target in found if target.startswith("socket:")] == []
    assert len([target for target in found if target.startswith("pipe:")]) == 2  # stdout and stderr


# The end


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_to_the_parent_alone_ends_both_in_order(tmp_path: Path, number: signal.Signals) -> None:
    async with command(write(tmp_path / "chat.py", SLOW_TO_END), "--reload") as served:
        _, port = await served.address()
        served.process.send_signal(number)
        assert [await served.line(), await served.line()] == ["shutting down", "shut down"]
        assert await served.errors() == ""
        assert await served.process.wait() == 0
    assert not is_taken(port)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGQUIT])
async def test_a_parent_that_is_killed_leaves_no_child(tmp_path: Path, number: signal.Signals) -> None:
    async with command(write(tmp_path / "chat.py", SLOW_TO_END), "--reload") as served:
        _, port = await served.address()
        served.process.send_signal(number)
        assert [await served.line(), await served.line()] == ["shutting down", "shut down"]
        assert await served.errors() == ""  # at its end there is no child
        assert await served.process.wait() == -number
    assert not is_taken(port)


async def test_a_parent_that_is_killed_leaves_no_child_that_loads_its_app(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    write(tmp_path / "chat.py", GATED)
    async with command("chat.py", "--reload", folder=tmp_path) as served:
        assert await served.line() == "at the gate"
        served.process.send_signal(signal.SIGKILL)
        assert await served.errors() == ""


async def test_a_second_signal_ends_a_child_that_does_not_end(tmp_path: Path) -> None:
    text = APP.replace("(__name__)", "(__name__, shutdown_timeout=None)") + (
        "\nimport trio\n@app.after_serving\nasync def never():\n"
        "    print('shutting down')\n    await trio.sleep_forever()\n"
    )
    async with command(write(tmp_path / "chat.py", text), "--reload") as served:
        await served.address()
        served.process.send_signal(signal.SIGTERM)
        assert await served.line() == "shutting down"

        async def insist() -> None:
            # One that comes within half a second is the first one, sent twice.
            while served.process.poll() is None:
                served.process.send_signal(signal.SIGTERM)
                await trio.sleep(0.1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(insist)
            assert await served.process.wait() == 128 + signal.SIGTERM
            assert await served.errors() == ""
            nursery.cancel_scope.cancel()


# Terminals


class Terminal:
    """A terminal with a ``triows run`` in it, whose stderr is a pipe: at its end, no process is left."""

    def __init__(self, process: trio.Process, master: int) -> None:
        self.process = process
        self.master = master
        self._screen = trio.lowlevel.FdStream(os.dup(master))
        self._text = ""

    async def until(self, text: str) -> str:
        """Read until ``text`` is there; return what came before it."""
        while text not in self._text:
            self._text += (await self._screen.receive_some()).decode()
        before, _, self._text = self._text.partition(text)
        return before

    async def port(self) -> int:
        await self.until("Running on http://127.0.0.1:")
        return int(await self.until(" (CTRL"))

    async def type(self, text: str) -> None:
        await self._screen.send_all(text.encode())

    async def close(self) -> None:
        await self._screen.aclose()
        if self.master >= 0:
            os.close(self.master)
        self.master = -1

    async def end(self) -> str:
        """Wait for the end of all processes; return what came on stderr."""
        assert self.process.stderr is not None
        return b"".join([bytes(data) async for data in self.process.stderr]).decode()


# A session of its own, with this terminal.
_IN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


@asynccontextmanager
async def terminal(*arguments: str) -> AsyncIterator[Terminal]:
    with trio.fail_after(30):
        master, slave = pty.openpty()
        process = await trio.lowlevel.open_process(
            [sys.executable, "-c", _IN_TERMINAL, sys.executable, "-m", "triows", "run", *arguments, "--port", "0"],
            stdin=slave,
            stdout=slave,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "TERM": "dumb", "PYTHON_BASIC_REPL": "1"},
        )
        os.close(slave)
        assert process.stderr is not None
        opened = Terminal(process, master)
        try:
            async with process.stderr:
                yield opened
        finally:
            with trio.CancelScope(shield=True):
                await opened.close()
                with trio.move_on_after(5):
                    await process.wait()
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()


DEBUGGED = APP.replace('    return "hello"', "    value = 41\n    breakpoint()\n    return str(value)")


@pytest.mark.parametrize("options", [(), ("--reload",)])
async def test_closing_the_terminal_ends_everything(tmp_path: Path, options: tuple[str, ...]) -> None:
    async with terminal(write(tmp_path / "chat.py"), *options) as opened:
        port = await opened.port()
        await opened.close()
        await opened.end()
        assert await opened.process.wait() == -signal.SIGHUP
    assert not is_taken(port)


@pytest.mark.parametrize("options", [(), ("--reload",)])
async def test_ctrl_c_ends_everything_in_order(tmp_path: Path, options: tuple[str, ...]) -> None:
    async with terminal(write(tmp_path / "chat.py", SLOW_TO_END), *options) as opened:
        port = await opened.port()
        await opened.type("\x03")
        await opened.until("shutting down")
        await opened.until("shut down")
        assert await opened.end() == ""
        assert await opened.process.wait() == 0
    assert not is_taken(port)


@pytest.mark.parametrize("options", [(), ("--reload",)])
async def test_a_breakpoint_has_the_terminal(tmp_path: Path, options: tuple[str, ...]) -> None:
    async with terminal(write(tmp_path / "chat.py", DEBUGGED), "--no-access-log", *options) as opened:
        port = await opened.port()
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def request() -> None:
                assert await ask(await trio.open_tcp_stream("127.0.0.1", port)) == b"42"

            await opened.until("(Pdb) ")
            await opened.type("value = 42\n")
            await opened.until("(Pdb) ")
            await opened.type("c\n")
        opened.process.send_signal(signal.SIGTERM)
        assert await opened.end() == ""
        assert await opened.process.wait() == 0


async def test_ctrl_c_again_ends_a_child_in_its_debugger(tmp_path: Path) -> None:
    async with terminal(write(tmp_path / "chat.py", DEBUGGED), "--no-access-log", "--reload") as opened:
        port = await opened.port()
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream, trio.open_nursery() as nursery:
            await stream.send_all(GET)
            await opened.until("(Pdb) ")

            async def insist() -> None:
                # One that comes within half a second is the first one, sent twice.
                while True:
                    await opened.type("\x03")
                    await trio.sleep(0.3)

            nursery.start_soon(insist)
            await opened.end()
            assert await opened.process.wait() == 128 + signal.SIGINT
            nursery.cancel_scope.cancel()


async def test_the_terminal_has_its_settings_back_after_a_child_was_ended_in_its_debugger(tmp_path: Path) -> None:
    place = tmp_path / "chat.py"
    short = DEBUGGED.replace("(__name__)", "(__name__, shutdown_timeout=0.01)")
    async with terminal(write(place, short), "--no-access-log", "--reload") as opened:
        settings = termios.tcgetattr(opened.master)
        port = await opened.port()
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream:
            await stream.send_all(GET)
            await opened.until("(Pdb) ")
            write(place, APP)
            await opened.port()
        assert termios.tcgetattr(opened.master) == settings
