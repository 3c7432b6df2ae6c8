"""Measures the works: rounds that go from server to server, medians, and ratios within a round.

A machine that others use too gets faster and slower. What is measured shortly one after the other suffers alike, so
the ratio of two servers is the median of the ratios of their rounds, not the ratio of their medians.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from .fleet import Fleet, Load, Server, Unavailable
from .proc import descriptors, family, pss_kib
from .works import Kind, Work

Figures = dict[str, float]
_BASE_CONNECTIONS = 20  # what a server allocates once is there when the counting begins
_SCALE_BUSY = 100
_SPARE_DESCRIPTORS = 200
_SETTLED_KIB = 16.0
_STRACE_TIMEOUT = 20.0  # seconds


@dataclass(frozen=True)
class Effort:
    """How much is done: rounds, seconds each, and a factor for numbers of connections."""

    rounds: int = 5
    seconds: float = 1.0
    scale: float = 1.0

    def connections(self, count: int) -> int:
        return max(2, int(count * self.scale))


@dataclass
class Row:
    """A server's figures for one work, or why there are none."""

    server: str
    figures: Figures
    problem: str = ""


def measure(work: Work, servers: list[str], fleet: Fleet, effort: Effort) -> list[Row]:
    """The work's rows, in the order of these servers."""
    rounds: dict[str, list[Figures]] = {name: [] for name in servers}
    problems: dict[str, str] = {}
    once = work.kind in ("idle", "syscalls", "scale")
    for _ in range(1 if once else effort.rounds):
        for name in servers:
            if name not in problems:
                try:
                    rounds[name].append(_MEASURES[work.kind](work, name, fleet, effort))
                except Unavailable as error:
                    problems[name] = str(error)
                    fleet.discard(name, tls=work.tls)
                    _say(f"  {work.name}: {name}: left out: {error}")
    base = rounds.get(work.servers[0], [])
    return [
        Row(name, {} if name in problems else _summary(rounds[name], base), problems.get(name, "")) for name in servers
    ]


def _summary(rounds: list[Figures], base: list[Figures]) -> Figures:
    figures = {key: median(one[key] for one in rounds) for key in rounds[0]}
    # Shares of "better": a higher rate, less memory, fewer calls.
    key, higher = next(((key, key == "rate") for key in ("rate", "memory", "calls") if key in figures), ("", True))
    if key and base and figures[key] > 0:
        pairs = [
            (ours[key], its[key]) if higher else (its[key], ours[key])
            for ours, its in zip(base, rounds, strict=False)
            if ours[key] > 0 and its[key] > 0
        ]
        if pairs:
            figures["ratio"] = median(above / below for above, below in pairs)
    return figures


# The kinds


def _echo(work: Work, name: str, fleet: Fleet, effort: Effort) -> Figures:
    server = fleet.server(name, tls=work.tls)
    [load] = fleet.loads(1)
    with _opened(work, server, load, fleet, work.connections):
        return _figures(load.ask("run", pid=server.pid, busy=work.connections, window=work.window, **_times(effort)))


def _handshake(work: Work, name: str, fleet: Fleet, effort: Effort) -> Figures:
    server = fleet.server(name)
    [load] = fleet.loads(1)
    options = {"concurrency": work.connections, "seconds": effort.seconds}
    return load.ask("handshakes", port=server.port, pid=server.pid, **options)


def _idle(work: Work, name: str, fleet: Fleet, effort: Effort) -> Figures:
    count = effort.connections(work.connections)
    [load] = fleet.loads(1)
    with (
        fleet.fresh_server(name, deflate=work.deflate) as server,
        _opened(work, server, load, fleet, _BASE_CONNECTIONS),
    ):
        before = _settled_memory(server, effort)
        _open(work, server, load, fleet, count)
        return {"memory": (_settled_memory(server, effort) - before) / count}


def _syscalls(work: Work, name: str, fleet: Fleet, effort: Effort) -> Figures:
    if shutil.which("strace") is None:
        raise Unavailable("strace is not installed")
    server = fleet.server(name)
    [load] = fleet.loads(1)
    with _opened(work, server, load, fleet, work.connections):
        with _counted_by_strace(server.pid) as count:
            done = load.ask("run", pid=server.pid, busy=work.connections, window=work.window, **_times(effort))
        return {"calls": count() / done["operations"]}


def _scale(work: Work, name: str, fleet: Fleet, effort: Effort) -> Figures:
    busy = min(_SCALE_BUSY, effort.connections(_SCALE_BUSY))
    wanted = min(effort.connections(work.connections), descriptors() - _SPARE_DESCRIPTORS)
    if wanted < effort.connections(work.connections):
        _say(f"  scale: the limit of descriptors allows only {wanted} connections")
    with fleet.fresh_server(name) as server:
        first, second = fleet.loads(2)
        with _opened(work, server, first, fleet, busy), _opened(work, server, second, fleet, 1):
            few = _busy_rounds(server, first, busy, effort)
            before = _settled_memory(server, effort)
            shares = [(first, wanted // 2 - busy), (second, wanted - wanted // 2 - 1)]
            for load, count in shares:
                _tell_open(work, server, load, fleet, max(count, 1))
            seconds = max([load.answer()["seconds"] for load, _ in shares])
            memory = _settled_memory(server, effort) - before
            many = _busy_rounds(server, first, busy, effort)
    added = sum(max(count, 1) for _, count in shares)
    return {
        "connections": added + busy + 1,
        "seconds": seconds,
        "memory": memory / added,
        **{f"{key}_few": few[key] for key in ("p50", "p99", "cpu")},
        **{f"{key}_many": many[key] for key in ("p50", "p99", "cpu")},
    }


def _busy_rounds(server: Server, load: Load, busy: int, effort: Effort) -> Figures:
    rounds = [load.ask("run", pid=server.pid, busy=busy, window=1, **_times(effort)) for _ in range(effort.rounds)]
    return {key: median(one[key] for one in rounds) for key in rounds[0]}


_MEASURES: dict[Kind, Callable[[Work, str, Fleet, Effort], Figures]] = {
    "echo": _echo,
    "http": _echo,
    "handshake": _handshake,
    "idle": _idle,
    "syscalls": _syscalls,
    "scale": _scale,
}

# Their parts


def _times(effort: Effort) -> Figures:
    return {"seconds": effort.seconds, "warmup": effort.seconds / 4}


def _figures(answer: Figures) -> Figures:
    return {key: value for key, value in answer.items() if key != "operations"}


def _tell_open(work: Work, server: Server, load: Load, fleet: Fleet, count: int) -> None:
    cafile = fleet.authority() if work.tls else None
    load.tell("open", port=server.port, count=count, talk=dict(work.talk), cafile=cafile)


def _open(work: Work, server: Server, load: Load, fleet: Fleet, count: int) -> None:
    _tell_open(work, server, load, fleet, count)
    try:
        load.answer()
    except Unavailable as error:
        raise Unavailable(f"{error}; {server.last_words()}") from error


@contextmanager
def _opened(work: Work, server: Server, load: Load, fleet: Fleet, count: int) -> Iterator[None]:
    """Connections during the block. When it is interrupted the load is busy, and is not asked to close them."""
    _open(work, server, load, fleet, count)
    try:
        yield
    except Unavailable:
        if load.alive:
            load.ask("close")
        raise
    load.ask("close")


def _settled_memory(server: Server, effort: Effort) -> float:
    """The server's memory in KiB, when it no longer changes."""
    pids = family(server.pid)
    last = pss_kib(pids)
    for _ in range(10):
        time.sleep(min(0.2, effort.seconds))  # memory has no event that says it has settled
        last, before = pss_kib(pids), last
        if abs(last - before) <= _SETTLED_KIB:
            break
    return last


@contextmanager
def _counted_by_strace(pid: int) -> Iterator[Callable[[], int]]:
    """Count the system calls of a process during the block; what is yielded says the number after it."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "calls"
        total = 0
        with subprocess.Popen(
            ["strace", "-f", "-c", "-o", str(output), "-p", str(pid)], stderr=subprocess.PIPE, start_new_session=True
        ) as strace:
            try:
                assert strace.stderr is not None
                words = strace.stderr.readline().decode().strip()
                if "attached" not in words:
                    raise Unavailable(f"strace does not run here: {words}")
                yield lambda: total
            finally:
                strace.send_signal(signal.SIGINT)
                try:
                    strace.wait(_STRACE_TIMEOUT)
                except subprocess.TimeoutExpired:
                    strace.kill()
        total = strace_total(output.read_text())


def strace_total(summary: str) -> int:
    """The number of calls in what ``strace -c`` wrote."""
    for line in summary.splitlines():
        words = line.split()
        if words and words[-1] == "total":
            return int(words[3])
    raise Unavailable("strace counted nothing")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
