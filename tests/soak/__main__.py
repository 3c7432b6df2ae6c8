"""The command: ``python -m tests.soak``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import trio

from .day import Day
from .run import Options, Soak
from .timed import TimedSoak


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Soak triows's own server (Linux only).")
    parser.add_argument("--minutes", type=float, default=0.0, help="how long the clients come and go")
    parser.add_argument("--seconds", type=float, default=0.0, help="the same (default: 30, of a day 300)")
    parser.add_argument(
        "--clients", type=int, default=None, help="at once (default: 200, of a day 100; --timed has its own)"
    )
    parser.add_argument("--seed", type=int, default=None, help="what the clients choose follows from it")
    parser.add_argument("--tls", action="store_true", help="over TLS")
    parser.add_argument("--tasks", action="store_true", help="without the reactor, as on other systems than Linux")
    plans = parser.add_mutually_exclusive_group()
    plans.add_argument("--timed", action="store_true", help="short timeouts and clients that stay, on all transports")
    plans.add_argument("--day", action="store_true", help="a public server's day, in exact books")
    given = parser.parse_args(arguments)
    if not sys.platform.startswith("linux"):
        parser.error("it reads /proc, so it needs Linux")
    seconds = given.minutes * 60 + given.seconds or (300.0 if given.day else 30.0)
    clients = (100 if given.day else 200) if given.clients is None else given.clients
    if seconds <= 0 or clients < 1:
        parser.error("--minutes, --seconds and --clients must be more than 0")
    seed = int(time.time()) if given.seed is None else given.seed
    options = Options(seconds, clients, seed, given.tls, given.tasks)
    soaks = list(_soaks(options, timed=given.timed, day=given.day))
    print(f"{seconds:g} s, --seed {seed}", flush=True)

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            for soak in soaks:
                nursery.start_soon(soak.run)

    trio.run(run)
    for soak in soaks:
        print(soak.summary())
    return 1 if any(soak.faults for soak in soaks) else 0


def _soaks(options: Options, *, timed: bool, day: bool) -> Iterator[Soak]:
    """One of the plans; the short timeouts on all transports at once, since their clients wait most of the time."""
    if day:
        yield Day(options)
    elif not timed:
        yield Soak(options)
    elif options.tls or options.tasks:
        yield TimedSoak(options)
    else:
        yield TimedSoak(options)
        yield TimedSoak(replace(options, tls=True))
        yield TimedSoak(replace(options, tasks=True))


if __name__ == "__main__":
    sys.exit(main())
