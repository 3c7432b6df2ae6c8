"""The check that tests leave no process behind sees what it has to see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .processes import marked_processes

# Starts a process that lives until its input ends, prints its number, and ends before it.
_PARENT = """
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdout=subprocess.DEVNULL).pid)
"""


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_a_process_that_has_lost_its_parent_is_found(request: pytest.FixtureRequest) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        number = int(parent.stdout.readline())
        parent.wait(30)
        (found,) = [text for text in marked_processes() if text.startswith(f"process {number},")]
        assert request.node.nodeid in found
