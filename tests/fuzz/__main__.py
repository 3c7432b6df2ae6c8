"""The command: ``python -m tests.fuzz``."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .targets import SEEDS, TARGETS

_KEPT = Path(__file__).parents[2] / ".fuzz"
_PATIENCE = 120  # seconds for start, the seeds and what was kept, and the end
_INPUT_TIMEOUT = 20  # seconds for one input, on a slow machine
_MEMORY = 2048  # MiB


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description="Fuzz targets, guided by coverage. What is found is written to a folder; the exit code is 1 then.",
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"{', '.join(TARGETS)} (default: all)")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    parser.add_argument("--runs", type=int, help="end each target after this many inputs, if not by the time")
    parser.add_argument(
        "--seed", type=int, help="of the mutations: with --runs and a new folder, the same inputs again"
    )
    parser.add_argument("--folder", type=Path, default=_KEPT, help="keeps inputs and findings (default: .fuzz)")
    parser.add_argument("--replay", type=Path, nargs="+", metavar="FILE", help="run these inputs, without atheris")
    options = parser.parse_args(arguments)
    unknown = set(options.targets) - TARGETS.keys()
    if unknown:
        parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    if options.seconds < 1:
        parser.error("--seconds must be at least 1")
    if options.runs is not None and options.runs < 1:
        parser.error("--runs must be at least 1")
    if options.replay and len(options.targets) != 1:
        parser.error("--replay needs one target")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, 1 if there are findings, 2 if it cannot be done."""
    options = _options(arguments)
    if options.replay:
        run = TARGETS[options.targets[0]].load()
        for path in options.replay:
            run(path.read_bytes())
            print(f"{path}: nothing wrong")
        return 0
    if importlib.util.find_spec("atheris") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        print(
            f"atheris is not installed: pip install --group fuzz (it has wheels for Linux and some Pythons; this is "
            f"{version} on {sys.platform})",
            file=sys.stderr,
        )
        return 2
    found = [name for name in options.targets or TARGETS if not _fuzz(name, options)]
    print(f"Findings in {', '.join(found)}." if found else "Nothing found.")
    return 1 if found else 0


def _fuzz(name: str, options: argparse.Namespace) -> bool:
    """Fuzz one target; returns whether it withstood."""
    target = TARGETS[name]
    seconds: int = options.seconds
    folder: Path = options.folder
    inputs, findings = folder / name / "inputs", folder / name / "findings"
    for path in (inputs, findings):
        path.mkdir(parents=True, exist_ok=True)
    words = folder / name / "words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
    print(f"{name}: {seconds} s", flush=True)
    log = folder / name / "log"
    command = [sys.executable, "-m", "tests.fuzz.engine", name]
    command += [f"-max_total_time={seconds}", f"-max_len={target.max_size}", f"-timeout={_INPUT_TIMEOUT}"]
    command += [f"-rss_limit_mb={_MEMORY}", f"-dict={words}", f"-artifact_prefix={findings}/", "-print_final_stats=1"]
    command += [f"-{option}={value}" for option in ("runs", "seed") if (value := getattr(options, option)) is not None]
    command += [str(inputs), str(SEEDS / name)]
    with log.open("wb") as output:
        try:
            ended = subprocess.run(command, stdout=output, stderr=output, timeout=seconds + _PATIENCE, check=False)
            withstood = ended.returncode == 0
        except subprocess.TimeoutExpired:
            print(f"{name}: it did not end in time")
            withstood = False
    _report(name, log, withstood)
    return withstood


def _report(name: str, log: Path, withstood: bool) -> None:
    lines = log.read_text(errors="backslashreplace").splitlines()
    if withstood:
        done = [line for line in lines if line.startswith(("Done ", "stat::number_of_executed_units"))]
        coverage = [line for line in lines if " cov: " in line][-1:]
        print("\n".join([*coverage, *done]), flush=True)
    else:
        print("\n".join(lines[-60:]))
        print(f"The input is named above. To try it again: python -m tests.fuzz {name} --replay FILE", flush=True)


def _escaped(word: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    sys.exit(main())
