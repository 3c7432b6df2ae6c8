"""Starts and ends the processes of the benchmarks: servers and loads, each ended by its own handle."""

from __future__ import annotations

import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme

from .proc import family, server_and_load_cores

_ROOT = Path(__file__).parents[2]
_START_TIMEOUT = 30.0  # seconds
_ANSWER_TIMEOUT = 120.0


class Unavailable(Exception):
    """A server could not be measured, and why."""


@dataclass(frozen=True)
class Peer:
    """A server that is measured: its module in ``peers``, what must be installed, and how it is shown."""

    name: str
    module: str
    needs: tuple[str, ...]
    text: str
    arguments: tuple[str, ...] = ()


PEERS = {
    peer.name: peer
    for peer in (
        Peer("triows", "triows_native", ("triows",), "on its own server"),
        Peer(
            "triows without speedups",
            "triows_native",
            ("triows", "websockets"),
            "the same without the C function for masks, as if the extra were not installed",
            ("--without-speedups",),
        ),
        Peer("triows on hypercorn", "triows_hypercorn", ("triows", "hypercorn"), "hypercorn's Trio worker"),
        Peer(
            "raw Trio stream",
            "raw_trio",
            ("trio",),
            "a yardstick, no server: it answers after so many bytes and does nothing that the protocol asks for",
        ),
        Peer("trio-websocket", "trio_websocket", ("trio_websocket",), "Trio"),
        Peer("quart-trio on hypercorn", "quart_trio", ("quart_trio", "hypercorn"), "hypercorn's Trio worker"),
        Peer("websockets", "websockets_asyncio", ("websockets",), "asyncio; masks in C"),
        Peer("aiohttp", "aiohttp_web", ("aiohttp",), "asyncio; compiled code for frames and for HTTP"),
        Peer(
            "picows",
            "picows_asyncio",
            ("picows",),
            "asyncio, with transports of its own; all of it compiled; hands out frames rather than messages",
        ),
        Peer("starlette on uvicorn", "starlette_uvicorn", ("starlette", "uvicorn"), "asyncio; HTTP by h11"),
        # What was decided against; only tests.benchmarks.decisions measures these.
        Peer("triows by tasks", "triows_tasks", ("triows",), "a reading and a writing task for each connection"),
        Peer("triows unwatched", "triows_unwatched", ("triows",), "handlers are awaited, and nobody looks"),
        Peer("handler reads", "handler_reads", ("triows",), "triows's protocol, read by the handler's own task"),
        Peer("reader task", "reader_task", ("triows",), "the same with a task that reads, and a memory channel"),
    )
}


def missing(peer: Peer) -> list[str]:
    """The packages that a peer needs and that are not installed."""
    return [name for name in peer.needs if importlib.util.find_spec(name) is None]


class _Process:
    """A child in a session of its own, so that Ctrl-C reaches only us, who end it."""

    def __init__(self, module: str, *arguments: str, **environment: str) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - end() closes it
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.{module}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=_ROOT,
            env={**os.environ, "PYTHONWARNINGS": "ignore", **environment},
            start_new_session=True,
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def read_line(self, timeout: float) -> str:
        """The next line of its output; Unavailable when it ends or keeps silent."""
        output = self._process.stdout
        assert output is not None
        ready, _, _ = select.select([output], [], [], timeout)
        line = output.readline().decode() if ready else ""
        if not line:
            raise Unavailable(f"no answer; {self.last_words()}")
        return line

    def write_line(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def last_words(self) -> str:
        """The last line that it wrote as an error."""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "it wrote no error"

    def end(self) -> None:
        """End it, and what it started, now; more than once is no error."""
        if self._process.poll() is None:
            for pid in family(self.pid)[1:]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass
        self._log.close()


class Server(_Process):
    """A running server."""

    def __init__(self, peer: Peer, core: int, certificate: str | None = None, deflate: bool = False) -> None:
        arguments = [peer.module, "--core", str(core), *peer.arguments]
        if certificate is not None:
            arguments += ["--certificate", certificate]
        super().__init__("serve", *arguments, **({"DEFLATE": "1"} if deflate else {}))
        self.name = peer.name
        try:
            self.port = int(self.read_line(_START_TIMEOUT))
        except BaseException:  # of any kind, CTRL + C too: no server may be left behind
            self.end()
            raise


class Load(_Process):
    """A running load generator."""

    def __init__(self, core: int) -> None:
        super().__init__("load", "--core", str(core))
        self._told = 0

    def tell(self, do: str, **arguments: Any) -> None:
        """Give it a command; :meth:`answer` waits for what it says."""
        self._told += 1
        self.write_line(json.dumps({"id": self._told, "do": do, **arguments}))

    def answer(self) -> dict[str, float]:
        """What it says to the last command. One that does not answer is ended."""
        answer: dict[str, Any] = {}
        while answer.pop("id", None) != self._told:  # one to an earlier command is of no use any more
            try:
                answer = json.loads(self.read_line(_ANSWER_TIMEOUT))
            except Unavailable:
                self.end()
                raise
        if "error" in answer:
            raise Unavailable(answer["error"])
        return answer

    def ask(self, do: str, **arguments: Any) -> dict[str, float]:
        self.tell(do, **arguments)
        return self.answer()


class Fleet(ExitStack):
    """The processes of one run; leaving it ends them all. Servers are kept from one work to the next."""

    def __init__(self) -> None:
        super().__init__()
        server_cores, load_cores = server_and_load_cores()
        self._server_core, self._load_core = min(server_cores), min(load_cores)
        self._servers: dict[tuple[str, bool], Server] = {}
        self._loads: list[Load] = []
        self._certificates: tuple[str, str] | None = None

    def loads(self, count: int) -> list[Load]:
        """So many loads; one that died is replaced."""
        self._loads = [load for load in self._loads if load.alive]
        while len(self._loads) < count:
            self._loads.append(self.enter_context(Load(self._load_core)))
        return self._loads[:count]

    def server(self, name: str, *, tls: bool = False) -> Server:
        """A running server of that name, from an earlier work if there is one."""
        server = self._servers.get((name, tls))
        if server is None or not server.alive:
            server = self._servers[name, tls] = self.enter_context(self.fresh_server(name, tls=tls))
        return server

    def fresh_server(self, name: str, *, tls: bool = False, deflate: bool = False) -> Server:
        """A server that nobody used; the caller ends it."""
        gone = missing(PEERS[name])
        if gone:
            raise Unavailable(f"not installed: {', '.join(gone)}")
        return Server(PEERS[name], self._server_core, self._certificate_files()[0] if tls else None, deflate)

    def discard(self, name: str, *, tls: bool = False) -> None:
        """End a server that went wrong; the next work gets a new one."""
        server = self._servers.pop((name, tls), None)
        if server is not None:
            server.end()

    def authority(self) -> str:
        """The file that says whom the servers' certificates are from."""
        return self._certificate_files()[1]

    def _certificate_files(self) -> tuple[str, str]:
        if self._certificates is None:
            folder = Path(self.enter_context(tempfile.TemporaryDirectory()))
            authority = trustme.CA()
            authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
            authority.cert_pem.write_to_path(folder / "authority.pem")
            self._certificates = str(folder / "server.pem"), str(folder / "authority.pem")
        return self._certificates
