"""What the kernel says of a process: processor time, memory, cores, limits (proc(5), Linux)."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PR_SET_PDEATHSIG = 1
_PSS = re.compile(r"^Pss:\s+(\d+)", re.MULTILINE)


def _stat(pid: int) -> list[str] | None:
    """The fields of a process from its state on (the name before it may hold anything); None if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def cpu_seconds(pids: list[int]) -> float:
    """The processor time that these processes took so far, user and system, in seconds."""
    stats = [fields for pid in pids if (fields := _stat(pid))]
    return sum(int(fields[11]) + int(fields[12]) for fields in stats) / _TICKS


def pss_kib(pids: list[int]) -> float:
    """The memory of these processes in KiB, what they share counted once (Pss)."""
    total = 0
    for pid in pids:
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
        total += int(found[1]) if found else 0
    return total


def server_and_load_cores() -> tuple[set[int], set[int]]:
    """One core for the server, and those for the load: the same one where there is no second."""
    first, *others = sorted(os.sched_getaffinity(0))
    return {first}, {others[0]} if others else {first}


def prepare(cores: set[int], name: str) -> None:
    """Make this process a benchmark's helper: on these cores, all descriptors, and it ends with its parent."""
    os.sched_setaffinity(0, cores)
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if name:
        Path("/proc/self/comm").write_text(name[:15])
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def descriptors() -> int:
    """How many descriptors a process may have open, its soft limit raised."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 1 << 20 if hard == resource.RLIM_INFINITY else hard
