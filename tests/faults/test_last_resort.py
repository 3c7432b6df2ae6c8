"""A process that nothing ends in order is ended all the same.

Tests triows/server/process/watchdog.py.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from ..support.wire import upgrade

_PROGRAM = """
import sys
import threading
import time

import trio
from triows import Triows, websocket

app = Triows("stuck", shutdown_timeout=0.2 if sys.argv[1] not in ("/changed", "/blocked?twice") else None)

@app.websocket("/blocked")
async def blocked():
    await websocket.accept()
    await websocket.send("is stuck")
    while True:
        time.sleep(0.05)  # in pieces: a signal just before a long one would not interrupt it

@app.websocket("/changed")
async def changes_the_limit():
    app.config["SHUTDOWN_TIMEOUT"] = 0.2
    await blocked()

@app.websocket("/thread")
async def waits_for_a_thread():
    await websocket.accept()
    await websocket.send("is stuck")
    await trio.to_thread.run_sync(threading.Event().wait, 60)

@app.websocket("/background")
async def starts_a_background_task():
    await websocket.accept()
    app.nursery.start_soon(shielded)
    await websocket.send("is stuck")

async def shielded():
    with trio.CancelScope(shield=True):
        await trio.sleep_forever()

app.run(port=0)
"""


_SIGNALS = {
    "/blocked": signal.SIGTERM,
    "/changed": signal.SIGTERM,
    "/thread": signal.SIGTERM,
    "/background": signal.SIGTERM,
    "/blocked?twice": signal.SIGINT,
}


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """How processes ended that were told to end while they served this path, and their logs; all at the same time."""
    program = tmp_path_factory.mktemp("program") / "stuck.py"
    program.write_text(_PROGRAM)
    with ExitStack() as stack:
        processes = {}
        for path in _SIGNALS:
            processes[path] = process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, str(program), path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
                )
            )
            stack.callback(process.kill)
        for path, process in processes.items():
            assert process.stdout is not None
            port = int(process.stdout.readline().split()[2].rpartition(":")[2])
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), 30))
            client.sendall(upgrade(path))
            received = b""
            while not received.partition(b"\r\n\r\n")[2]:
                data = client.recv(4096)
                assert data, received
                received += data
            process.send_signal(_SIGNALS[path])
        while (twice := processes["/blocked?twice"]).poll() is None:
            twice.send_signal(signal.SIGTERM)  # a first one that comes at once is the same signal
            time.sleep(0.02)
        return {
            path: (process.communicate(timeout=30)[1], process.returncode)[::-1] for path, process in processes.items()
        }


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [
        (
            "/blocked",
            1,
            ["ended at once: blocked() (", "stuck.py:11) holds up the event loop, at ", "stuck.py:16 in blocked\n"],
        ),
        ("/changed", 1, ["ended at once: changes_the_limit() (", "holds up the event loop"]),
        (
            "/thread",
            1,
            ["waits_for_a_thread() (", "stuck.py:23) has not ended within", "ended at once: handlers did not end"],
        ),
        ("/background", 0, ["background task __main__.shielded has not ended within shutdown_timeout, 0.2 seconds"]),
    ],
    ids=[
        "a handler blocks the event loop",
        "the limit has changed",
        "a handler waits for a thread",
        "a background task shields itself",
    ],
)
def test_what_does_not_end_is_named_and_the_process_ends(
    path: str, code: int, said: list[str], ends: dict[str, tuple[int, str]]
) -> None:
    returned, log = ends[path]
    assert returned == code
    for text in said:
        assert text in log
    assert "Traceback" not in log


def test_a_second_signal_ends_a_process_whose_event_loop_is_blocked(ends: dict[str, tuple[int, str]]) -> None:
    returned, log = ends["/blocked?twice"]
    assert returned == 128 + signal.SIGTERM
    assert "ended at once" not in log
