"""Two servers of the same app, each a process for the whole session: triows's own and Hypercorn."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..support.processes import end_group, end_with_parent, stays

HERE = Path(__file__).parent
GUARD = 30.0  # seconds; only a test that hangs meets it

COMMANDS = {
    "triows": ["triows", "run", "app.py:app", "--port", "0"],
    "hypercorn": ["hypercorn", "-k", "trio", "-b", "127.0.0.1:0", "app:app"],
}


class ServerProcess:
    """A server under test.

    :ivar kind: ``triows`` or ``hypercorn``.
    :ivar address: host and port.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        # Warnings are errors here, but not in hypercorn's own code.
        warnings = ["-W", "ignore"] if kind == "hypercorn" else ["-W", "error"]
        self._process = subprocess.Popen(
            [sys.executable, *warnings, "-m", *COMMANDS[kind]],
            cwd=HERE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
            preexec_fn=end_with_parent,
        )
        stays(self._process)
        self._output: list[str] = []
        self._more_output = threading.Condition()
        self.address = self._read_address()
        self._reader = threading.Thread(target=self._read_output, daemon=True)
        self._reader.start()

    def _read_address(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._output.append(line)
            if found := re.search(r"http://(127\.0\.0\.1:\d+)", line):
                return found[1]
        self._process.wait()
        pytest.fail(f"{self.kind} did not start:\n" + "".join(self._output))

    def _read_output(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._more_output:
                self._output.append(line)
                self._more_output.notify_all()

    def http(self, path: str) -> str:
        return f"http://{self.address}{path}"

    def ws(self, path: str) -> str:
        return f"ws://{self.address}{path}"

    def wait_for_output(self, text: str) -> None:
        """Wait until the server has printed a line with this text."""
        with self._more_output:
            found = self._more_output.wait_for(lambda: any(text in line for line in self._output), GUARD)
            assert found, f"{text!r} is not in what {self.kind} printed: {''.join(self._output)}"

    def take_complaints(self) -> list[str]:
        """What the server printed as a warning or worse since the last call, but for what the tests ask for."""
        with self._more_output:
            lines, self._output[:] = self._output[:], []
        complaints = [line for line in lines if re.search(r"WARNING|ERROR|CRITICAL|Traceback|Error:", line)]
        # Of a handshake at the path of a plain route. It comes once a minute at most, and is read at any time.
        return [line for line in complaints if "is HTTP's alone" not in line]

    def stop(self) -> int:
        code = end_group(self._process, GUARD)
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code


@contextmanager
def serving(kind: str) -> Iterator[ServerProcess]:
    server = ServerProcess(kind)
    yield server
    code = server.stop()
    assert code == 0, f"{kind} ended with exit code {code}"
    assert server.take_complaints() == []


@pytest.fixture(scope="session")
def triows_server() -> Iterator[ServerProcess]:
    with serving("triows") as server:
        yield server


@pytest.fixture(scope="session")
def hypercorn_server() -> Iterator[ServerProcess]:
    with serving("hypercorn") as server:
        yield server


@pytest.fixture(params=["triows", "hypercorn"])
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """Each of the servers. It must not complain of anything, unless the test takes the complaint itself."""
    server: ServerProcess = request.getfixturevalue(f"{request.param}_server")
    yield server
    assert server.take_complaints() == []


def find_program(name: str, version: str = "") -> str:
    """The path of a program that the tests drive. CI has it; elsewhere the tests are skipped without it."""
    path = shutil.which(name)
    if path is None:
        lack = f"these tests need {version or name}: apt-get install {name if name != 'node' else 'nodejs'}"
        if os.environ.get("CI"):
            pytest.fail(lack)
        pytest.skip(lack)
    return path
