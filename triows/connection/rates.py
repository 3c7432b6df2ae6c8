"""Rates: so many a second, and up to a second's worth at once (a token bucket, as GCRA: ITU-T I.371, annex A).

Instead of tokens, a bucket keeps the time at which it is full again: one number, and no timer refills it.
"""

from __future__ import annotations

from math import inf

import trio

_MOST_KEYS = 10_000


class Rate:
    """A rate.

    :param per_second: how many a second; below 1, one at a time.
    """

    __slots__ = ("_interval", "_tolerance", "longest")

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second
        self._tolerance = (max(per_second, 1.0) - 1) * self._interval
        self.longest: float = self._tolerance + self._interval
        """Seconds until an empty bucket is full."""

    def wait(self, full_at: float, now: float) -> float:
        """Return the seconds until a bucket has a token; 0 or less if it has one."""
        return full_at - self._tolerance - now

    def take(self, full_at: float, now: float) -> float:
        """Take a token, and return when the bucket is full again."""
        return max(full_at, now) + self._interval


class Buckets:
    """A bucket for each key. Full ones are forgotten, and beyond ``most`` the one that was used the longest ago."""

    def __init__(self, most: int = _MOST_KEYS) -> None:
        self._most = most
        self._full_at: dict[bytes, float] = {}  # in the order of their last tokens

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: bytes, rate: Rate) -> float:
        """Take a token from the key's bucket: return 0, or the seconds until it has one, which is not taken then."""
        now, buckets = trio.current_time(), self._full_at
        full_at = buckets.get(key, -inf)
        if full_at > now + rate.longest:
            full_at = -inf  # the rate has changed, or this is a run of Trio's with another clock
        if (wait := rate.wait(full_at, now)) > 0:
            return wait
        buckets.pop(key, None)
        buckets[key] = rate.take(full_at, now)
        while len(buckets) > self._most or next(iter(buckets.values())) <= now:
            del buckets[next(iter(buckets))]
        return 0.0
