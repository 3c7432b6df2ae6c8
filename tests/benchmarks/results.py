"""Results as they are kept in results.json, and the machine that they are from."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .measure import Effort, Row

_PACKAGES = (
    *("triows", "trio", "h11", "trio-websocket", "quart-trio", "hypercorn"),
    *("websockets", "aiohttp", "picows", "uvicorn", "starlette", "wsproto"),
)
_PATHS = re.compile(r"\(?/[^\s)'\"]+\)?")


@dataclass
class Measured:
    """One work's or part's rows, when they were measured, and how long."""

    date: str
    rounds: int
    seconds: float
    rows: list[Row]


@dataclass
class Results:
    """All that was measured on one machine with one set of packages."""

    machine: dict[str, Any]
    measured: dict[str, Measured] = field(default_factory=dict)

    def add(self, name: str, effort: Effort, rows: list[Row]) -> None:
        """Put in a work's rows; those of servers that were not measured now stay."""
        for row in rows:
            row.problem = _PATHS.sub("...", row.problem)
        old = self.measured.get(name)
        if old is not None:
            new = {row.server: row for row in rows}
            kept = [new.pop(row.server, row) for row in old.rows]
            rows = kept + list(new.values())
        date = time.strftime("%Y-%m-%d", time.gmtime())
        self.measured[name] = Measured(date, effort.rounds, effort.seconds, rows)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")


def read(path: Path) -> Results | None:
    """What was written there, or None."""
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    measured = {
        name: Measured(one["date"], one["rounds"], one["seconds"], [Row(**row) for row in one["rows"]])
        for name, one in found["measured"].items()
    }
    return Results(found["machine"], measured)


def this_machine() -> dict[str, Any]:
    """What the figures depend on, and nothing that names the machine."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip() if found else platform.machine()
