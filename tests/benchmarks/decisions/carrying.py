"""What carries bytes between sockets and handlers: messages a second, processor time, memory of idle connections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from ..fleet import Fleet
from ..measure import Effort, Figures, measure
from ..report import Table, number
from ..works import WORKS

_WORKS = ("ping-pong", "alone", "pipelined", "handshakes")
_IDLE_ROUNDS = 3


def reactor(effort: Effort) -> list[Table]:
    """One reactor, beside a reading and a writing task for each connection."""
    return [_table("Reactor or tasks", ("triows", "triows by tasks"), _WORKS, effort)]


def reading(effort: Effort) -> list[Table]:
    """A task that reads and a channel, beside a handler that reads by itself."""
    return [_table("A task that reads", ("handler reads", "reader task", "triows"), _WORKS[:3], effort)]


def unwatched(effort: Effort) -> Table:
    """Handlers that are driven, beside handlers that are awaited."""
    return _table("Handlers that nobody watches", ("triows", "triows unwatched"), _WORKS[:3], effort, idle=False)


def _table(title: str, servers: Sequence[str], works: Sequence[str], effort: Effort, *, idle: bool = True) -> Table:
    """Ratios are with the first server: of rates, above 1 it is faster than that; of memory, above 1 it takes more."""
    rows = []
    with Fleet() as fleet:
        for name in works:
            for row in measure(replace(WORKS[name], servers=tuple(servers)), list(servers), fleet, effort):
                rate, ratio, cpu = (row.figures[key] for key in ("rate", "ratio", "cpu"))
                rows.append([WORKS[name].title, row.server, f"{rate:,.0f}", f"{1 / ratio:.2f}", number(cpu)])
        if idle:
            rows += _idle(servers, fleet, effort)
    return Table(title, "", ["work", "server", "a second, or KiB", "to the first", "cpu µs"], rows)


def _idle(servers: Sequence[str], fleet: Fleet, effort: Effort) -> list[list[str]]:
    work = replace(WORKS["idle"], servers=tuple(servers))
    rounds: list[Figures] = [
        {row.server: row.figures["memory"] for row in measure(work, list(servers), fleet, effort)}
        for _ in range(min(_IDLE_ROUNDS, effort.rounds))
    ]
    rows = []
    for name in servers:
        memory = median(one[name] for one in rounds)
        ratio = median(one[name] / one[servers[0]] if one[servers[0]] else 0.0 for one in rounds)
        rows.append([work.title, name, number(memory), f"{ratio:.2f}", ""])
    return rows
