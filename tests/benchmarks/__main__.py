"""The command: ``python -m tests.benchmarks``."""

from __future__ import annotations

import argparse
import re
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from .engine import PARTS, measure_part
from .fleet import PEERS, Fleet, missing
from .measure import Effort, Row, measure
from .report import engine_table, markdown, work_table, write_files
from .results import Results, read, this_machine
from .works import WORKS

_QUICK = Effort(rounds=1, seconds=0.1, scale=0.02)

_EPILOG = """
Without --only everything is measured, in about 10 minutes. Names of works: {works}. Parts of the engine ("engine" for
all of them): {parts}. Servers run on one core and the load on another. Peers that are not installed are left out; the
dependency group "benchmarks" has them all.
"""


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Measure triows beside its peers, on loopback.",
        epilog=_EPILOG.format(works=", ".join(WORKS), parts=", ".join(PARTS)),
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only these works or parts")
    parser.add_argument("--servers", default="", metavar="REGEX", help="only these servers, and triows")
    parser.add_argument("--rounds", type=int, help=f"rounds from server to server (default: {Effort.rounds})")
    parser.add_argument("--seconds", type=float, help=f"of each measurement (default: {Effort.seconds:g})")
    parser.add_argument("--quick", action="store_true", help="only see that everything runs: the figures mean little")
    parser.add_argument("--output", type=Path, metavar="DIR", help="write results.json, tables and the chart there")
    parser.add_argument("--list", action="store_true", help="print the names for --only, and measure nothing")
    options = parser.parse_args(arguments)
    unknown = set(options.only) - WORKS.keys() - PARTS.keys() - {"engine"}
    if unknown:
        parser.error(f"there is nothing of the name {', '.join(sorted(unknown))}; see --list")
    if (options.rounds is not None and options.rounds < 1) or (options.seconds is not None and options.seconds <= 0):
        parser.error("--rounds and --seconds must be more than 0")
    return options


def _effort(options: argparse.Namespace) -> Effort:
    base = _QUICK if options.quick else Effort()
    return Effort(options.rounds or base.rounds, options.seconds or base.seconds, base.scale)


def _names(only: Iterable[str]) -> list[str]:
    wanted = set(only) or {*WORKS, *PARTS}
    if "engine" in wanted:
        wanted |= PARTS.keys()
    return [name for name in (*WORKS, *PARTS) if name in wanted]


def _kept_results(folder: Path | None) -> Results:
    """What the output folder has from this machine with these packages; nothing if it is from another."""
    machine = this_machine()
    kept = read(folder / "results.json") if folder is not None else None
    if kept is None or kept.machine == machine:
        return kept or Results(machine)
    _say("the results there are from another machine or other versions: begun anew")
    return Results(machine)


def run(names: Sequence[str], servers: str, effort: Effort, results: Results) -> bool:
    """Measure and print; returns whether every one that is installed gave its figures."""
    complete = True
    with Fleet() as fleet:
        for name in names:
            began = time.monotonic()
            if name in WORKS:
                work = WORKS[name]
                chosen = [peer for peer in work.servers if peer == work.servers[0] or re.search(servers, peer)]
                rows = measure(work, chosen, fleet, effort)
            else:
                rows = measure_part(PARTS[name], effort)
            results.add(name, effort, rows)
            complete &= all(_is_excused(row) for row in rows)
            if name in WORKS:
                print(markdown(work_table(WORKS[name], results.measured[name])), flush=True)
            _say(f"{name}: {time.monotonic() - began:.0f} s")
    engine = engine_table(results)
    if engine is not None and PARTS.keys() & set(names):
        print(markdown(engine))
    return complete


def _is_excused(row: Row) -> bool:
    """Figures are there, or the reason is not a fault."""
    return bool(row.figures) or any(
        words in row.problem for words in ("not installed", "not there", "no compression", "strace does not run")
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _terminated(_number: int, _frame: FrameType | None) -> NoReturn:
    """SIGTERM: leave through the same door as Ctrl-C, which ends the servers."""
    sys.exit(143)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 1 if something that is installed could not be measured."""
    if sys.platform != "linux":
        _say("the benchmarks need Linux: epoll, processor affinity and /proc")
        return 2
    options = _options(arguments)
    if options.list:
        print("\n".join((*WORKS, *PARTS)))
        return 0
    signal.signal(signal.SIGTERM, _terminated)
    for peer in PEERS.values():
        if gone := missing(peer):
            _say(f"{peer.name} is left out: {', '.join(gone)} not installed")
    results = _kept_results(options.output)
    try:
        complete = run(_names(options.only), options.servers, _effort(options), results)
    except KeyboardInterrupt:
        _say("interrupted; the servers are ended")
        return 130
    finally:
        if options.output is not None and results.measured:
            write_files(results, options.output)
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
