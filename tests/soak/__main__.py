"""The command: ``python -m tests.soak``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import trio

from .run import Options, Soak


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Soak triows's own server (Linux only).")
    parser.add_argument("--minutes", type=float, default=0.0, help="how long the clients come and go")
    parser.add_argument("--seconds", type=float, default=0.0, help="the same; together 30 s, if neither is given")
    parser.add_argument("--clients", type=int, default=200, help="at once (default: 200)")
    parser.add_argument("--seed", type=int, default=None, help="what the clients choose follows from it")
    parser.add_argument("--tls", action="store_true", help="over TLS")
    parser.add_argument("--tasks", action="store_true", help="without the reactor, as on other systems than Linux")
    given = parser.parse_args(arguments)
    if not sys.platform.startswith("linux"):
        parser.error("it reads /proc, so it needs Linux")
    seconds = given.minutes * 60 + given.seconds or 30.0
    if seconds <= 0 or given.clients < 1:
        parser.error("--minutes, --seconds and --clients must be more than 0")
    seed = int(time.time()) if given.seed is None else given.seed
    print(f"{given.clients} clients for {seconds:g} s, --seed {seed}", flush=True)
    soak = Soak(Options(seconds, given.clients, seed, given.tls, given.tasks))
    trio.run(soak.run)
    print(soak.summary())
    return 1 if soak.faults else 0


if __name__ == "__main__":
    sys.exit(main())
