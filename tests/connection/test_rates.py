"""Rates, and the buckets of many clients."""

from __future__ import annotations

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from triows.connection.rates import Buckets, Rate


@given(
    st.floats(0.01, 1000),
    st.lists(st.floats(0, 3), min_size=1, max_size=200),
)
def test_no_window_has_more_than_the_rate_and_a_second_s_worth(per_second: float, pauses: list[float]) -> None:
    rate, now, full_at = Rate(per_second), 0.0, 0.0
    taken = []
    for pause in pauses:
        now += pause
        if rate.wait(full_at, now) <= 0:
            full_at = rate.take(full_at, now)
            taken.append(now)
    for first, begin in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= max(per_second, 1) + per_second * (taken[last] - begin) + 1e-6


def test_a_second_s_worth_may_come_at_once_and_then_one_by_one() -> None:
    rate, full_at = Rate(4), 0.0
    for _ in range(4):
        assert rate.wait(full_at, 100.0) <= 0
        full_at = rate.take(full_at, 100.0)
    assert rate.wait(full_at, 100.0) == 0.25
    assert rate.wait(full_at, 100.25) <= 0


async def test_each_key_has_a_bucket(autojump_clock: MockClock) -> None:
    buckets, rate = Buckets(), Rate(0.5)
    assert buckets.take(b"a", rate) == buckets.take(b"b", rate) == 0
    assert buckets.take(b"a", rate) == 2
    await trio.sleep(1)
    assert buckets.take(b"a", rate) == 1
    await trio.sleep(1)
    assert buckets.take(b"a", rate) == 0


async def test_full_buckets_are_forgotten(autojump_clock: MockClock) -> None:
    buckets, rate = Buckets(), Rate(1)
    for number in range(100):
        buckets.take(b"%d" % number, rate)
    assert len(buckets) == 100
    await trio.sleep(1)
    buckets.take(b"new", rate)
    assert len(buckets) == 1


async def test_there_is_a_bound_and_the_oldest_go(autojump_clock: MockClock) -> None:
    buckets, rate = Buckets(most=2), Rate(0.1)
    for key in (b"a", b"b", b"c"):
        assert buckets.take(key, rate) == 0
    assert len(buckets) == 2
    assert buckets.take(b"c", rate) > 0
    assert buckets.take(b"a", rate) == 0  # forgotten, and there again in place of b
    assert buckets.take(b"b", rate) == 0


async def test_another_rate_counts_at_once(autojump_clock: MockClock) -> None:
    buckets = Buckets()
    assert buckets.take(b"a", Rate(0.001)) == 0
    assert buckets.take(b"a", Rate(0.001)) == 1000
    assert buckets.take(b"a", Rate(10)) == 0
