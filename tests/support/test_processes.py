"""The check that tests leave no process behind sees what it has to see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .processes import children, end_group, left, marked_processes, started, stays

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


_WAITING = [sys.executable, "-c", "import sys; sys.stdin.read()"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_child_that_runs_is_found_unless_it_is_to_stay() -> None:
    before = started()
    with subprocess.Popen(_WAITING, stdin=subprocess.PIPE) as process:
        assert started() > before  # Python 3.13 tells of one start twice
        assert [text for text in children() if text.startswith(f"process {process.pid},")]
        stays(process)
        assert not [text for text in children() if text.startswith(f"process {process.pid},")]


def test_the_end_of_a_group_reaches_what_its_first_process_has_left_behind() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
    )
    with parent:
        assert parent.stdout is not None
        orphan = int(parent.stdout.readline())
        parent.wait(30)
        assert [text for text in marked_processes() if text.startswith(f"process {orphan},")]
        assert end_group(parent) == 0
        assert left(lambda: [text for text in marked_processes() if text.startswith(f"process {orphan},")]) == []
