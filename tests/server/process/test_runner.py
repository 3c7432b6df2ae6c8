"""The signals that end a process, in virtual time."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from typing import NoReturn

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows.server.process.runner import _stopping_on_signals
from triows.server.process.watchdog import ShutdownWatchdog

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Exited(BaseException):
    """The process would have ended here, with this code."""


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> None:
    def exit_(code: int) -> NoReturn:
        raise Exited(code)

    monkeypatch.setattr(os, "_exit", exit_)


@pytest.fixture
async def stop(mock_clock: MockClock, exits: None) -> AsyncIterator[trio.CancelScope]:
    """The scope that the first signal cancels, while signals are handled."""
    scope = trio.CancelScope()
    with _stopping_on_signals(scope, ShutdownWatchdog(lambda: None)):
        yield scope


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
async def test_signals_in_quick_succession_are_one(
    stop: trio.CancelScope, mock_clock: MockClock, first: signal.Signals, second: signal.Signals
) -> None:
    signal.raise_signal(first)
    for _ in range(4):
        mock_clock.jump(0.12)
        signal.raise_signal(second)
    await wait_all_tasks_blocked()
    assert stop.cancel_called


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("echoes", [0, 3])
async def test_a_later_signal_ends_the_process_at_once(
    stop: trio.CancelScope, mock_clock: MockClock, number: signal.Signals, echoes: int
) -> None:
    signal.raise_signal(signal.SIGINT)
    for _ in range(echoes):
        signal.raise_signal(number)
    mock_clock.jump(0.51)
    with pytest.raises(Exited) as caught:
        signal.raise_signal(number)
    assert caught.value.args == (128 + number,)
