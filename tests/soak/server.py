"""The process that is soaked: started, listened to, sampled, and surely ended."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import trio
import trustme

_START = 60.0  # seconds


class Listener(Protocol):
    """Who hears what the server has to say."""

    def note(self, noted: dict[str, Any]) -> None: ...
    def fault(self, text: str) -> None: ...


@dataclass
class Sample:
    mib: float
    descriptors: int


@dataclass
class Server:
    """A running server, and the port that it listens at."""

    process: trio.Process
    port: int = 0

    def sample(self) -> Sample:
        folder = Path(f"/proc/{self.process.pid}")
        pages = int((folder / "statm").read_text().split()[1])
        return Sample(pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20), len(os.listdir(folder / "fd")))


@asynccontextmanager
async def running(arguments: Sequence[str], listener: Listener, *, fds: Sequence[int] = ()) -> AsyncIterator[Server]:
    """``python -m tests.soak.app``, from when it listens on. It is killed at the end of the block if it still runs.

    Everything that it has said until then was heard.

    :raises RuntimeError: if it does not start.
    """
    command = [sys.executable, "-m", "tests.soak.app", *arguments]
    with tempfile.TemporaryFile() as stderr:
        process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, stderr=stderr, pass_fds=tuple(fds))
        try:
            async with trio.open_nursery() as nursery:
                with trio.fail_after(_START):
                    server: Server = await nursery.start(_listen, process, listener)
                yield server
                nursery.cancel_scope.deadline = trio.current_time() + 5  # for the rest of what an ended one has said
                if process.returncode is None:
                    nursery.cancel_scope.cancel()
        finally:
            if process.returncode is None:
                process.kill()
            assert process.stdout is not None
            await process.stdout.aclose()
            with trio.CancelScope(shield=True):
                await process.wait()
            stderr.seek(0)
            if said := stderr.read().decode(errors="backslashreplace"):
                listener.fault(f"the server wrote to its standard error: {said[-3000:]}")


async def _listen(process: trio.Process, listener: Listener, task_status: trio.TaskStatus[Server]) -> None:
    assert process.stdout is not None
    server = Server(process)
    buffer = b""
    async for data in process.stdout:
        *lines, buffer = (buffer + data).split(b"\n")
        for line in lines:
            if line.startswith(b"{"):
                listener.note(json.loads(line))
            elif match := re.search(rb"://127\.0\.0\.1:(\d+)", line):
                server.port = int(match[1])
                task_status.started(server)
    if not server.port:
        raise RuntimeError("the server has ended before it listened")


def certificate(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A client's context, and the file with the server's certificate and key."""
    authority = trustme.CA()
    file = folder / "certificate.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context, str(file)
