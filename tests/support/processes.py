"""Finds the processes that tests have left behind, those that have lost their parent too. It needs Linux's /proc."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

_NAME = "TESTED_BY"


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
