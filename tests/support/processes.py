"""Ends the processes of tests, and finds those that tests have left behind.

After each test there is a look for children of this process, and at the end of the session for marked processes, which
may have lost their parent too. The looks need Linux's /proc.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

_NAME = "TESTED_BY"
_PR_SET_PDEATHSIG = 1
_PATIENCE = 10.0  # seconds for processes that have been told to end

# What the interpreter says of itself where it starts a process.
_STARTS = frozenset(("os.fork", "os.forkpty", "os.posix_spawn", "subprocess.Popen"))
_started = 0
_staying: set[int] = set()


def _count_starts(event: str, arguments: object) -> None:
    global _started
    if event in _STARTS:
        _started += 1


sys.addaudithook(_count_starts)


def started() -> int:
    """How many processes have been started so far: a look at all of /proc takes too long to be had after each test."""
    return _started


def stays(process: subprocess.Popen[Any]) -> None:
    """Say that a process lives longer than the test that it is started in."""
    _staying.add(process.pid)


def end_with_parent() -> None:
    """Ask for SIGTERM when the parent ends: for ``preexec_fn``, so that a run which is killed leaves nothing either."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def end_group(process: subprocess.Popen[Any], patience: float = _PATIENCE) -> int:
    """End a process in order, and then what is left of its group, of which it is the first. Returns its exit code."""
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    kill_group(process.pid)
    return process.wait()


def kill_group(number: int) -> None:
    """Kill the group of this number, if anything is left of it: the first process may be gone, and its workers stay."""
    with suppress(ProcessLookupError):
        os.killpg(number, signal.SIGKILL)


def left(find: Callable[[], list[str]]) -> list[str]:
    """What is found of processes after some time for their end."""
    deadline = time.monotonic() + _PATIENCE
    while (found := find()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def children() -> list[str]:
    """The children of this process that run, but for those of which :func:`stays` says that they stay."""
    return [text for number, text in _children().items() if number not in _staying]


def all_stay() -> None:
    """Say that the children of now live longer than the test: a session's fixture has had them started."""
    _staying.update(_children())


def _children() -> dict[int, str]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ").strip()
        except OSError:
            continue
        if int(parent) == os.getpid() and state != "Z":
            found[int(folder.name)] = f"process {folder.name}, {command}"
    return found


def mark_processes() -> None:
    """Put a mark of this process into the environment, which the processes started from here on inherit."""
    os.environ[_NAME] = uuid4().hex


def marked_processes() -> list[str]:
    """The marked processes that still run: number, command, and the test that it was started in."""
    found = []
    mark = f"{_NAME}={os.environ[_NAME]}"
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
            command = (folder / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ").strip()
        except OSError:
            continue  # it has just ended, or is another user's
        if mark in environment:
            tests = [line.partition("=")[2] for line in environment if line.startswith("PYTEST_CURRENT_TEST=")]
            found.append(f"process {folder.name}, {command}, of {tests}")
    return found
