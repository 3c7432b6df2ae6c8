"""The command: ``python -m tests.benchmarks.decisions``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from ..measure import Effort
from ..report import Table, markdown
from . import carrying, http1, loading, watching

_ROUNDS = 7

Measure = Callable[[Effort], list[Table]]

DECISIONS: dict[str, Measure] = {
    "http1": http1.measure,
    "reactor": carrying.reactor,
    "watching": watching.measure,
    "reading": carrying.reading,
    "loading": loading.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.decisions",
        description="Measure what docs/decisions says was measured.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of a decision: {', '.join(DECISIONS)}")
    parser.add_argument(
        "--rounds", type=int, default=_ROUNDS, help="rounds, in which all take turns (default: %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="only see that everything runs: the figures mean little")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - DECISIONS.keys()
    if unknown:
        parser.error(f"there is no decision {', '.join(sorted(unknown))}; there are {', '.join(DECISIONS)}")
    if options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    if sys.platform != "linux":
        parser.error("the benchmarks need Linux: epoll, processor affinity and /proc")
    effort = Effort(rounds=1, seconds=0.1, scale=0.02) if options.quick else Effort(rounds=options.rounds)
    for name in options.names or DECISIONS:
        for table in DECISIONS[name](effort):
            print(markdown(table), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
