"""``app.run()`` and ``app.run_task()``, with Quart's arguments.

Tests triows/server/process/restarting.py and triows/server/process/loading.py too.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from functools import partial, wraps
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from triows import Triows
from triows.server.process import reloading, restarting, runner

from .support.commands import APP, certificate, program, write
from .support.wire import Wire


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What ``app.run()`` hands on, in place of serving."""
    calls: list[dict[str, Any]] = []

    @wraps(runner.run)
    def run(app: Triows, host: str, port: int, parent: object, **options: Any) -> None:
        calls.append({"host": host, "port": port, "debug": app.debug, **options})

    monkeypatch.setattr(runner, "run", run)
    return calls


def test_the_arguments_have_quarts_names_and_order(runs: list[dict[str, Any]]) -> None:
    Triows("chat").run("0.0.0.0", 5000, True, False, None, "ca", "cert", "key")
    Triows("chat").run(port=5000, certfile="cert")
    assert runs == [
        {"host": "0.0.0.0", "port": 5000, "debug": True, "ca_certs": "ca", "certfile": "cert", "keyfile": "key"},
        {"host": "127.0.0.1", "port": 5000, "debug": False, "ca_certs": None, "certfile": "cert", "keyfile": None},
    ]


@pytest.mark.parametrize(("argument", "variable", "debug"), [(None, "1", True), (False, "1", False), (True, "0", True)])
def test_debug_is_the_argument_or_that_of_the_environment(
    runs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, argument: bool | None, variable: str, debug: bool
) -> None:
    app = Triows("chat")
    monkeypatch.setenv("TRIOWS_DEBUG", variable)
    app.run(debug=argument)
    assert runs[0]["debug"] is app.debug is debug


def test_there_is_no_loop_to_run_on() -> None:
    with pytest.raises(TypeError, match=r"^run\(\) has no option 'loop': the app runs on Trio"):
        Triows("chat").run(loop="loop")  # type: ignore[arg-type]


def test_the_reloader_runs_the_program_again_as_it_was_started(
    runs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[Any, ...]] = []

    def run_reloading(*args: Any, **options: Any) -> int:
        calls.append((*args, options))
        return 3

    monkeypatch.setattr(restarting, "run_reloading", run_reloading)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-X", "dev", "chat.py", "--loud"])
    app = Triows("chat")
    with pytest.raises(SystemExit, match="3"):
        app.run(port=80, use_reloader=True, socket_mode=0o660)
    ((command, folders, say, host, port, options),) = calls
    assert command == [sys.executable, "-X", "dev", "chat.py", "--loud"]
    assert {Path.cwd(), Path(app.root_path)} <= set(folders)
    assert (say, host, port) == (runner.print_line, "127.0.0.1", 80)
    assert options == {"fds": (), "reuse_port": False, "socket_mode": 0o660}
    assert runs == []


def test_the_process_that_the_reloader_has_started_serves(
    runs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloading, "take_parent", reloading.Parent)
    Triows("chat").run(use_reloader=True)
    assert len(runs) == 1


async def test_a_program_that_runs_its_app_with_the_reloader_restarts(tmp_path: Path) -> None:
    text = APP + "\nif __name__ == '__main__':\n    app.run(port=0, use_reloader=True, access_log=False)\n"
    place = tmp_path / "chat.py"
    async with program(write(place, text), folder=tmp_path) as served:
        _, port = await served.address()
        write(place, text.replace("hello", "changed"))
        assert await served.line() == "triows: chat.py changed, restarting"
        assert (await served.address())[1] == port
        wire = Wire(await trio.open_tcp_stream("127.0.0.1", port))
        await wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await wire.read_response()).body == b"changed"
        await wire.stream.aclose()
        assert await served.end(signal.SIGTERM) == (0, "")


# run_task()


async def test_a_task_serves_until_its_trigger(tmp_path: Path) -> None:
    app, stop = Triows("chat"), trio.Event()
    ended: list[str] = []
    started = trio.Event()

    @app.while_serving
    async def live() -> AsyncIterator[None]:
        started.set()
        yield
        ended.append("app")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(app.run_task, f"unix:{tmp_path}/socket", debug=True, shutdown_trigger=stop.wait))
        await started.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert app.debug
        assert (tmp_path / "socket").is_socket()
        stop.set()
    assert ended == ["app"]
    assert not (tmp_path / "socket").exists()


async def test_a_task_without_a_trigger_serves_until_it_is_cancelled(tmp_path: Path) -> None:
    app = Triows("chat")
    certfile, keyfile, authority = certificate(tmp_path)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    files = {"certfile": certfile, "keyfile": keyfile, "ca_certs": tmp_path / "ca.pem"}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(app.run_task, port=0, **files))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


async def test_a_task_that_cannot_listen_raises_that_plainly(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        await Triows("chat").run_task(f"unix:{tmp_path}/nowhere/socket")
    with pytest.raises(ValueError, match="keyfile is given without certfile"):
        await Triows("chat").run_task(keyfile=os.devnull)
