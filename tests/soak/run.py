"""One soak: starts the server, sends the clients at it, samples what it takes, ends it, and says what was wrong."""

from __future__ import annotations

import json
import math
import signal
import ssl
import statistics
import tempfile
import traceback
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import trio

from ..support.wire import Gone
from .books import Books, Page
from .ledger import ClientSide, ServerSide, compare
from .peer import Closed, Peer, Place
from .server import Sample, Server, certificate, running
from .talks import TALKS, Client, Talk, not_tls

# Seconds. They bound what hangs; nothing is judged by its speed.
_TALK = 120.0
_LEDGER = 60.0
_SETTLE = 60.0
SHUTDOWN = 30.0

# The median of the last quarter may be above that of the second one by so much: the first one is warm-up. Freed memory
# stays with the process, as much as was ever needed at once, so that what is left of Python's objects tells more.
_MORE_MEMORY = 0.1
_MORE_MIB = 48.0
_MORE_OBJECTS = 5000  # whatever the number of connections: caches
_DESCRIPTORS_BESIDE_CLIENTS = 40
STAYING = 25  # websockets that are open when the server is asked to stop

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
class Soak:
    """The state of a run, and the judge of its talks."""

    plan: ClassVar[str] = "mixed"
    """Which app is served."""

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
    _arguments: list[str] = field(default_factory=list)

    # The judge

    def expect(self, kind: str) -> None:
        self.expected[kind] += 1

    async def compare(self, client: ClientSide, page: Page | None = None) -> None:
        name = client.connection
        with trio.move_on_after(_LEDGER):
            await self._arrived[name].wait()
        del self._arrived[name]
        server = self._ledgers.pop(name, None)
        if server is None:
            self.fault(f"{name}: {client.talk} ({client.end}): the handler has not ended in {_LEDGER:g} s")
            return
        self.messages += server.received + client.received
        self.compared(client, server, page, compare(client, server))

    def compared(self, client: ClientSide, server: ServerSide, page: Page | None, wrong: list[str]) -> None:
        """The two sides of a connection were compared, and so much is wrong."""
        for fault in wrong:
            self.fault(f"{client.connection}: {client.talk} ({client.end}): {fault}")

    def talk_failed(self, text: str, error: Exception) -> None:
        """A client has met something that is not due."""
        self.fault(text)

    def kept_books(self) -> Books | None:
        """Where the connections are entered, if anywhere."""
        return None

    def own_request(self, line: str) -> None:
        """A request of the soak's own is made."""

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
        with tempfile.TemporaryDirectory() as folder, trio.move_on_after(self.options.seconds * 1.5 + 400) as watchdog:
            context = None
            self._arguments = ["--plan", self.plan]
            if self.options.tls:
                context, file = certificate(Path(folder))
                self._arguments += ["--certificate", file]
            if self.options.tasks:
                self._arguments.append("--tasks")
            await self._run(context)
        if watchdog.cancelled_caught:
            self.fault("the run did not end in time")
        self.check_books()
        for kind in sorted(self.expected.keys() | self.logged.keys()):
            if self.expected[kind] != self.logged[kind]:
                self.fault(f"the log has {self.logged[kind]} records of {kind}, and {self.expected[kind]} are due")

    def check_books(self) -> None:
        """The server has ended, and has said everything."""

    async def _run(self, context: ssl.SSLContext | None) -> None:
        try:
            await self.serve(context)
        except* (Gone, OSError, trio.BrokenResourceError, trio.TooSlowError, RuntimeError) as errors:
            self.fault(f"the server does not start, or does not answer: {errors.exceptions}")

    async def serve(self, context: ssl.SSLContext | None) -> None:
        """Start the server, let the clients come, and stop it."""
        async with running(self._arguments, self) as server:
            self._place = Place(server.port, context)
            await self._soak(server)
            await self._check_shutdown(server.process)

    async def _soak(self, server: Server) -> None:
        """Let the clients come, and go."""
        before = await self._vitals()
        descriptors = server.sample().descriptors
        await self._send_clients(server)
        await self._check_settled(before, descriptors, server)
        self._check_samples()

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

    async def _send_clients(self, server: Server) -> None:
        async with trio.open_nursery() as nursery:

            async def sample() -> None:
                while True:
                    self.samples.append(server.sample())
                    await trio.sleep(self.options.seconds / 120)

            nursery.start_soon(sample)
            await self.clients(trio.current_time() + self.options.seconds)
            nursery.cancel_scope.cancel()

    def talks_to_hold(self) -> dict[Talk, int]:
        """Each talk and its weight."""
        return TALKS

    async def clients(self, deadline: float) -> None:
        """Send clients until then, and let them come to their ends."""
        talks = self.talks_to_hold()
        if self.options.tls:
            talks = {**talks, not_tls: 4}
        async with trio.open_nursery() as clients:
            for number in range(self.options.clients):
                clients.start_soon(self._client, number, talks, deadline)

    async def _client(self, number: int, talks: dict[Talk, int], deadline: float) -> None:
        random = self.random(number)
        await trio.sleep(random.random() * min(2.0, self.options.seconds / 10))
        count = 0
        while trio.current_time() < deadline:
            (talk,) = random.choices(list(talks), list(talks.values()))
            await self.hold(talk, Client(self._place, self, random, f"{number}-{count}", books=self.kept_books()))
            count += 1
            await trio.sleep(self.pause(random))

    def pause(self, random: Random) -> float:
        """Seconds between a client and the next one in its place."""
        return 0.0

    async def hold(self, talk: Talk, client: Client) -> None:
        """Hold one talk; whatever goes wrong in it is a fault."""
        name = f"{client.name}: {talk.__name__}"
        self.talks[talk.__name__] += 1
        try:
            with trio.fail_after(_TALK + max(client.until - trio.current_time(), 0.0)):
                await talk(client)
        except trio.TooSlowError:
            self.fault(f"{name} hangs")
        except Exception as error:
            self.talk_failed(f"{name}: {''.join(traceback.format_exception(error))[-2500:]}", error)

    # The end

    async def _vitals(self) -> dict[str, int]:
        peer = await Peer.connect(self._place)
        self.own_request("GET /vitals")
        try:
            await peer.send(b"GET /vitals HTTP/1.1\r\nHost: localhost\r\n\r\n")
            vitals: dict[str, int] = json.loads((await peer.read_response()).body)
        finally:
            await peer.drop()
        return vitals

    async def _check_settled(self, before: dict[str, int], descriptors: int, server: Server) -> None:
        """Everything that came with the clients goes with them."""
        before["descriptors"] = descriptors
        after: dict[str, int] = {}
        with trio.move_on_after(_SETTLE):
            while after != before:
                if after:
                    await trio.sleep(0.2)
                after = {**await self._vitals(), "descriptors": server.sample().descriptors}
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
            for number in range(STAYING):
                await nursery.start(partial(self._stay, codes, f"stay-{number}"))
            began = trio.current_time()
            process.send_signal(signal.SIGTERM)
            with trio.move_on_after(SHUTDOWN):
                await process.wait()
            self.shutdown_took = trio.current_time() - began
            nursery.cancel_scope.deadline = trio.current_time() + 5
        self.check_end(process, codes)

    def check_end(self, process: trio.Process, codes: list[int]) -> None:
        """The process has ended, and the websockets that were open got these close codes."""
        if process.returncode != 0:
            self.fault(f"after SIGTERM the server's exit code is {process.returncode}")
        if codes != [1001] * STAYING:
            self.fault(f"at the shutdown {STAYING} websockets got {Counter(codes)} instead of 1001 each")

    async def _stay(
        self, codes: list[int], name: str, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        received = 0
        peer = await Client(self._place, self, self.random(0), name, books=self.kept_books()).connect()
        try:
            await peer.upgrade(f"/both?connection={name}")
            task_status.started()
            while True:
                await peer.receive_message()
                received += 1
        except Closed as closed:
            codes.append(closed.code)
            if peer.page is not None:
                due = peer.page.due("GET /both", (101, closed.code, "shutdown"), visits=())
                due.received, due.sent = 0, (received, received)
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
