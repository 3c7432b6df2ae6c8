"""Runs the tests and prints how much of each package they reach, in branches too: covered.py [arguments of pytest].

It fails if a test does, or if anything in the packages of FULL is not reached. What cannot be reached there is marked,
with the reason: ``# pragma: no cover - the kernel never says so``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

FULL = ("connection", "protocol", "tasks")


def coverage(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "coverage", *arguments]).returncode


def package(file: str) -> str:
    """The part of triows that a file belongs to: a package, or a module at the top."""
    return Path(file).parts[1]


def missed(file: str, found: dict[str, Any]) -> Iterator[str]:
    """The lines of a file that were not reached, and the branches that were not taken, each with its source."""
    source = Path(file).read_text().splitlines()
    for line in found["missing_lines"]:
        yield f"{file}:{line}: {source[line - 1].strip()}"
    for start, end in found["missing_branches"]:
        if end not in found["missing_lines"]:
            yield f"{file}:{start}: {source[start - 1].strip()} -> {f'line {end}' if end > 0 else 'the end'}"


def main(arguments: list[str]) -> int:
    coverage("erase")
    failed = coverage("run", "-m", "pytest", *arguments)
    coverage("combine", "--quiet")
    with TemporaryDirectory() as folder:
        coverage("json", "--quiet", "-o", f"{folder}/coverage.json")
        report = json.loads(Path(folder, "coverage.json").read_text())
    figures: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for file, found in report["files"].items():
        of_file = found["summary"]
        for number, name in enumerate(("num_statements", "covered_lines", "num_branches", "covered_branches")):
            figures[package(file)][number] += of_file[name]
            figures["all"][number] += of_file[name]
    print(f"\n{'':20}{'lines':>8}{'branches':>12}{'reached':>12}")
    for name in [*sorted(figures.keys() - {"all"}), "all"]:
        lines, lines_reached, branches, branches_reached = figures[name]
        share = (lines_reached + branches_reached) / (lines + branches) if lines else 1
        print(f"{name:20}{lines:8}{branches:12}{100 * share:11.2f}%")
    gaps = [gap for file, found in report["files"].items() if package(file) in FULL for gap in missed(file, found)]
    if gaps:
        print("\nnot reached, and has to be:", *gaps, sep="\n")
    if missing := [name for name in FULL if name not in figures]:
        print(f"\nthere is no package {', '.join(missing)}")
    return int(bool(failed or gaps or missing))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
