"""The examples and other apps, served as a user serves them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class ExampleServer:
    """``triows run examples/NAME/app.py:app``, or another file's; started again, it gets the port that it had."""

    def __init__(self, name: str | Path) -> None:
        self._file = f"examples/{name}/app.py" if isinstance(name, str) else str(name)
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "triows", "run", f"{self._file}:app", "--port", str(self.port)]
        self._process = subprocess.Popen(
            [*command, "--no-access-log"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        assert found, f"triows run printed {line!r}"
        self.port = int(found[1])

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.communicate(timeout=30)
            assert self._process.returncode == 0
            self._process = None
