"""What it takes to import triows, what of it is loaded later, and what each dependency takes."""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median

from ..measure import Effort
from ..report import Table, number

_PROGRAM = """
import json, sys, time
from pathlib import Path
def memory():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20
for name in {before!r}:
    __import__(name)
modules, size, start = len(sys.modules), memory(), time.process_time()
for name in {names!r}:
    __import__(name)
print(json.dumps([1e3 * (time.process_time() - start), len(sys.modules) - modules, memory() - size]))
"""

_STEPS = {
    "trio": ((), ("trio",)),
    "werkzeug, as triows uses it": (
        ("trio",),
        ("werkzeug.routing", "werkzeug.sansio.request", "werkzeug.sansio.response", "werkzeug.sansio.multipart"),
    ),
    "itsdangerous": (("trio", "werkzeug.routing"), ("itsdangerous",)),
    "import triows, with these": ((), ("triows",)),
    "triows alone": (("trio", "werkzeug.routing", "werkzeug.sansio.request", "werkzeug.sansio.response",
                      "werkzeug.sansio.multipart", "itsdangerous"), ("triows",)),
    "on top of it, to be served by its own server": (("triows",), ("triows.server.serving",)),
    "on top of it, to be served by an ASGI server": (("triows",), ("triows.asgi.adapter",)),
    "on top of it, the test client (h11, trio-websocket)": (("triows",), ("triows.testing",)),
    "on top of it, the command (click)": (("triows",), ("triows.command.main",)),
}  # fmt: skip


def _loaded(before: tuple[str, ...], names: tuple[str, ...]) -> tuple[float, int, float]:
    program = _PROGRAM.format(before=before, names=names)
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    milliseconds, modules, mebibytes = json.loads(output)
    return milliseconds, modules, mebibytes


def measure(effort: Effort) -> list[Table]:
    """Processor time, modules and memory of each step, in processes of their own, which take turns."""
    rounds = [{step: _loaded(*names) for step, names in _STEPS.items()} for _ in range(effort.rounds)]
    rows = []
    for step in _STEPS:
        milliseconds, modules, mebibytes = (median(one[step][figure] for one in rounds) for figure in range(3))
        rows.append([step, number(milliseconds), f"{modules:.0f}", number(mebibytes)])
    return [Table("What an import loads", "", ["import", "cpu ms", "modules", "MiB"], rows)]
