"""One soak: starts the server, sends the clients at it, samples what it takes, ends it, and says what was wrong."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import traceback
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import trio
import trustme

from ..wire import Gone
from .ledger import ClientSide, ServerSide, compare
from .peer import Closed, Peer, Place
from .talks import TALKS, Client, Talk, not_tls

# Seconds. They bound what hangs; nothing is judged by its speed.
_TALK = 120.0
_LEDGER = 60.0
_START = 60.0
_SETTLE = 60.0
_SHUTDOWN = 30.0

# The median of the last quarter may be above that of the second one by so much: the first one is warm-up. Freed memory
# stays with the process, as much as was ever needed at once, so that what is left of Python's objects tells more.
_MORE_MEMORY = 0.1
_MORE_MIB = 48.0
_MORE_OBJECTS = 5000  # whatever the number of connections: caches
_DESCRIPTORS_BESIDE_CLIENTS = 40
_STAYING = 25  # websockets that are open when the server is asked to stop

_EXPECTED = {
    "provoked": lambda record: record["error"] == "ProvokedError",
    "swallowed": lambda record: "swallow" in record["text"] or "Cancelled" in record["text"],
    "origin": lambda record: "rigin" in record["text"],
}


@dataclass(frozen=True)
class Options:
    seconds: float = 30.0
    clients: int = 200
    seed: int = 0
    tls: bool = False
    tasks: bool = False


@dataclass
class Sample:
    mib: float
    descriptors: int


@dataclass
class Soak:
    """The state of a run, and the judge of its talks."""

    options: Options
    faults: list[str] = field(default_factory=list)
    talks: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    expected: Counter[str] = field(default_factory=Counter)
    logged: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    objects_left: int = 0
    shutdown_took: float = math.nan
    _ledgers: dict[str, ServerSide] = field(default_factory=dict)
    _arrived: dict[str, trio.Event] = field(default_factory=lambda: defaultdict(trio.Event))
    _place: Place = field(default_factory=lambda: Place(0))
    _ready: trio.Event = field(default_factory=trio.Event)

    # The judge

    def expect(self, kind: str) -> None:
        self.expected[kind] += 1

    async def compare(self, client: ClientSide) -> None:
        name = client.connection
        with trio.move_on_after(_LEDGER):
            await self._arrived[name].wait()
        del self._arrived[name]
        server = self._ledgers.pop(name, None)
        if server is None:
            self.fault(f"{name}: {client.talk} ({client.end}): the handler has not ended in {_LEDGER:g} s")
            return
        self.messages += server.received + client.received
        for wrong in compare(client, server):
            self.fault(f"{name}: {client.talk} ({client.end}): {wrong}")

    def random(self, number: int) -> Random:
        """What the client of this number chooses by."""
        return Random(f"{self.options.seed}-{number}")

    def fault(self, text: str) -> None:
        """Something is wrong. Of many, the first are shown at once."""
        self.faults.append(text)
        if len(self.faults) <= 20:
            print(f"WRONG: {text}", flush=True)

    # The run

    async def run(self) -> None:
        """Do all of it. What is wrong is in ``faults`` then."""
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "tests.soak.app"]
            context = None
            if self.options.tls:
                context, certificate = _certificate(Path(folder))
                command += ["--certificate", certificate]
            if self.options.tasks:
                command.append("--tasks")
            errors = Path(folder) / "stderr"
            with errors.open("wb") as stderr:
                process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, stderr=stderr)
                try:
                    with trio.move_on_after(self.options.seconds * 1.5 + 400) as watchdog:
                        await self._run(process, context)
                    if watchdog.cancelled_caught:
                        self.fault("the run did not end in time")
                finally:
                    if process.returncode is None:
                        process.kill()
                    assert process.stdout is not None
                    await process.stdout.aclose()
                    with trio.CancelScope(shield=True):
                        await process.wait()
            if said := errors.read_text(errors="backslashreplace"):
                self.fault(f"the server wrote to its standard error: {said[-3000:]}")
        for kind in sorted(self.expected.keys() | self.logged.keys()):
            if self.expected[kind] != self.logged[kind]:
                self.fault(f"the log has {self.logged[kind]} records of {kind}, and {self.expected[kind]} are due")

    async def _run(self, process: trio.Process, context: ssl.SSLContext | None) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, process)
            with trio.move_on_after(_START):
                await self._ready.wait()
            if not self._ready.is_set():
                self.fault("the server has not started")
                nursery.cancel_scope.cancel()
                return
            self._place = Place(self._place.port, context)
            try:
                before = await self._vitals()
            except (Gone, OSError, trio.BrokenResourceError) as error:
                self.fault(f"the server does not answer: {error!r}")
                nursery.cancel_scope.cancel()
                return
            descriptors = _sample(process.pid).descriptors
            await self._send_clients(process.pid)
            await self._check_settled(before, descriptors, process.pid)
            self._check_samples()
            await self._check_shutdown(process)
            nursery.cancel_scope.cancel()

    async def _listen(self, process: trio.Process) -> None:
        assert process.stdout is not None
        buffer = b""
        async for data in process.stdout:
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                if line.startswith(b"{"):
                    self.note(json.loads(line))
                elif match := re.search(rb"://127\.0\.0\.1:(\d+)", line):
                    self._place = Place(int(match[1]))
                    self._ready.set()
        if not self._ready.is_set():
            self.fault("the server has ended")
            self._ready.set()

    def note(self, noted: dict[str, Any]) -> None:
        """Take what the server has to say."""
        if "ledger" in noted:
            side = ServerSide.from_json(noted["ledger"])
            self._ledgers[side.connection] = side
            self._arrived[side.connection].set()
        else:
            record = noted["log"]
            kind = next((kind for kind, fits in _EXPECTED.items() if fits(record)), None)
            if kind is None:
                self.fault(f"the log has: {record['level']} {record['text'][-2000:]}")
            else:
                self.logged[kind] += 1

    # Clients

    async def _send_clients(self, pid: int) -> None:
        talks = dict(TALKS)
        if self.options.tls:
            talks[not_tls] = 4
        deadline = trio.current_time() + self.options.seconds
        async with trio.open_nursery() as nursery:
            sampling = trio.CancelScope()

            async def sample() -> None:
                with sampling:
                    while True:
                        self.samples.append(_sample(pid))
                        await trio.sleep(self.options.seconds / 120)

            nursery.start_soon(sample)
            async with trio.open_nursery() as clients:
                for number in range(self.options.clients):
                    clients.start_soon(self._client, number, talks, deadline)
                await trio.sleep_until(deadline)
                sampling.cancel()

    async def _client(self, number: int, talks: dict[Talk, int], deadline: float) -> None:
        random = self.random(number)
        await trio.sleep(random.random() * min(2.0, self.options.seconds / 10))
        count = 0
        while trio.current_time() < deadline:
            (talk,) = random.choices(list(talks), list(talks.values()))
            await self.hold(talk, Client(self._place, self, random, f"{number}-{count}"))
            count += 1

    async def hold(self, talk: Talk, client: Client) -> None:
        """Hold one talk; whatever goes wrong in it is a fault."""
        name = f"{client.name}: {talk.__name__}"
        self.talks[talk.__name__] += 1
        try:
            with trio.fail_after(_TALK):
                await talk(client)
        except trio.TooSlowError:
            self.fault(f"{name} hangs")
        except Exception as error:
            self.fault(f"{name}: {''.join(traceback.format_exception(error))[-2500:]}")

    # The end

    async def _vitals(self) -> dict[str, int]:
        peer = await Peer.connect(self._place)
        try:
            await peer.send(b"GET /vitals HTTP/1.1\r\nHost: localhost\r\n\r\n")
            vitals: dict[str, int] = json.loads((await peer.read_response()).body)
        finally:
            await peer.drop()
        return vitals

    async def _check_settled(self, before: dict[str, int], descriptors: int, pid: int) -> None:
        """Everything that came with the clients goes with them."""
        before["descriptors"] = descriptors
        after: dict[str, int] = {}
        with trio.move_on_after(_SETTLE):
            while after != before:
                if after:
                    await trio.sleep(0.2)
                after = {**await self._vitals(), "descriptors": _sample(pid).descriptors}
                self.objects_left = after["objects"] - before["objects"]
                if self.objects_left <= _MORE_OBJECTS:
                    after["objects"] = before["objects"]
            return
        self.fault(f"left behind by the clients: {after}, and before them {before}")

    def _check_samples(self) -> None:
        quarter = len(self.samples) // 4
        second, last = self.samples[quarter : 2 * quarter], self.samples[-quarter:]
        if quarter:
            was, now = (statistics.median(sample.mib for sample in part) for part in (second, last))
            if now > was * (1 + _MORE_MEMORY) + _MORE_MIB:
                self.fault(f"memory grows: {was:.0f} MiB in the second quarter, {now:.0f} MiB in the last one")
        # Each client has one connection, and the one before may still be on its way out.
        most = max((sample.descriptors for sample in self.samples), default=0)
        if most > 2 * self.options.clients + _DESCRIPTORS_BESIDE_CLIENTS:
            self.fault(f"there were {most} descriptors for {self.options.clients} clients")

    async def _check_shutdown(self, process: trio.Process) -> None:
        """SIGTERM while websockets are open: each gets Close 1001, and the process ends with 0."""
        codes: list[int] = []
        async with trio.open_nursery() as nursery:
            for number in range(_STAYING):
                await nursery.start(partial(self._stay, codes, f"stay-{number}"))
            began = trio.current_time()
            process.send_signal(signal.SIGTERM)
            with trio.move_on_after(_SHUTDOWN):
                await process.wait()
            self.shutdown_took = trio.current_time() - began
            nursery.cancel_scope.deadline = trio.current_time() + 5
        if process.returncode != 0:
            self.fault(f"after SIGTERM the server's exit code is {process.returncode}")
        if codes != [1001] * _STAYING:
            self.fault(f"at the shutdown {_STAYING} websockets got {Counter(codes)} instead of 1001 each")

    async def _stay(
        self, codes: list[int], name: str, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        peer = await Peer.connect(self._place)
        try:
            await peer.upgrade(f"/both?connection={name}")
            task_status.started()
            while True:
                await peer.receive_message()
        except Closed as closed:
            codes.append(closed.code)
        except Exception as error:
            self.fault(f"{name} at the shutdown: {error!r}")
        finally:
            await peer.drop()

    def summary(self) -> str:
        memory = [sample.mib for sample in self.samples] or [math.nan]
        quarter = max(len(memory) // 4, 1)
        medians = [statistics.median(memory[start : start + quarter]) for start in range(0, 4 * quarter, quarter)]
        talks = ", ".join(f"{name} {count}" for name, count in self.talks.most_common())
        return "\n".join(
            [
                f"{sum(self.talks.values())} talks, {self.messages} messages compared",
                f"talks: {talks}",
                f"memory by quarters: {', '.join(f'{median:.0f}' for median in medians)} MiB",
                f"objects left: {self.objects_left}",
                f"descriptors: {max((sample.descriptors for sample in self.samples), default=0)} at most",
                f"log: {', '.join(f'{kind} {count}' for kind, count in sorted(self.logged.items())) or 'nothing'}",
                f"shutdown: {self.shutdown_took:.1f} s",
                f"WRONG in {len(self.faults)} ways" if self.faults else "nothing wrong",
            ]
        )


def _certificate(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A client's context, and the file with the server's certificate and key."""
    authority = trustme.CA()
    certificate = folder / "certificate.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context, str(certificate)


def _sample(pid: int) -> Sample:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return Sample(pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20), len(os.listdir(f"/proc/{pid}/fd")))
