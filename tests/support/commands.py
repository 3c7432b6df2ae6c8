"""A ``triows run`` in a process of its own, and what it is given: an app in a file, a certificate."""

from __future__ import annotations

import inspect
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from click.testing import CliRunner, Result

from triows.command.main import main

from .processes import kill_group

_PATIENCE = 30  # seconds until a test gives up; nothing here waits for time to pass

APP = """
from triows import Triows

app = Triows(__name__)


@app.get("/")
async def index():
    return "hello"
"""


def write(path: Path, text: str = APP) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def certificate(folder: Path, name: str = "localhost") -> tuple[str, str, trustme.CA]:
    authority = trustme.CA()
    issued = authority.issue_cert(name)
    certfile, keyfile = folder / f"{name}.pem", folder / f"{name}.key"
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(str(certfile), append=bool(number))
    issued.private_key_pem.write_to_path(str(keyfile))
    return str(certfile), str(keyfile), authority


# Before version 8.2, Click put both streams into one unless it was told not to.
APART: dict[str, Any] = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}


def triows(*arguments: str, input: str | None = None) -> Result:
    """Run the command in this process."""
    return CliRunner(**APART).invoke(main, arguments, input=input)


def complaint(*arguments: str) -> str:
    """The block that the command says before it ends with exit code 2; nothing is on stdout."""
    result = triows(*arguments)
    assert result.exit_code == 2, (result.output, result.exception)
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert result.stderr.startswith("triows: ")
    return result.stderr.removeprefix("triows: ").removesuffix("\n")


class Command:
    """A running ``triows run``, and what it says."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self._lines = self._read(process.stdout)

    async def _read(self, stream: Any) -> AsyncIterator[str]:
        rest = ""
        async for data in stream:
            *lines, rest = (rest + data.decode()).split("\n")
            for line in lines:
                yield line

    async def line(self) -> str:
        """The next line of stdout."""
        try:
            return await anext(self._lines)
        except StopAsyncIteration:
            pytest.fail(f"the command has ended: {await self.errors()}")

    async def address(self) -> tuple[str, int]:
        """Scheme and port of the URL, which must be the next line."""
        line = await self.line()
        match = re.fullmatch(r"Running on (https?)://127\.0\.0\.1:(\d+) \(CTRL \+ C to quit\)", line)
        assert match, line
        return match[1], int(match[2])

    async def errors(self) -> str:
        """Everything that came on stderr; waits for the end."""
        assert self.process.stderr is not None
        return b"".join([bytes(data) async for data in self.process.stderr]).decode()

    async def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal; the exit code, and what came on stderr."""
        self.process.send_signal(number)
        errors = await self.errors()
        return await self.process.wait(), errors


def command(
    *arguments: str, address: Sequence[str] = ("--port", "0"), wrapper: Sequence[str] = (), **options: Any
) -> AbstractAsyncContextManager[Command]:
    """Run the command in the block, and end it in order afterwards if it has not ended."""
    return program("-m", "triows", "run", *arguments, *address, wrapper=wrapper, **options)


@asynccontextmanager
async def program(
    *arguments: str,
    fds: Sequence[int] = (),
    wrapper: Sequence[str] = (),
    folder: Path | None = None,
    **environment: str,
) -> AsyncIterator[Command]:
    """Run Python with these arguments in the block, and end it in order afterwards if it has not ended."""
    with trio.fail_after(_PATIENCE):
        process = await trio.lowlevel.open_process(
            [*wrapper, sys.executable, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
            cwd=folder,
            pass_fds=fds,
            process_group=0,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            async with process.stdout, process.stderr:
                yield Command(process)
        finally:
            with trio.move_on_after(5, shield=True):
                if process.poll() is None:
                    process.terminate()
                await process.wait()
            kill_group(process.pid)  # of a reloader, the app that it has started too
