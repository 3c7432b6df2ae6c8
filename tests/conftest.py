"""What every test gets: a check that nothing is left behind, and helpers to reach servers."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from triows import Triows

from .support.processes import children, left, mark_processes, marked_processes, started
from .support.records import Records, lines

# A busy machine fails no test. Else this is the profile that Hypothesis has chosen, which newer versions do by CI.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked as huge runs with ``pytest -m huge`` only."""
    if "huge" not in config.option.markexpr:
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("huge")])
        items[:] = [item for item in items if not item.get_closest_marker("huge")]


def pytest_collection_finish() -> None:
    """Spare the collections below a look at what is there before the first test: that is most of their time."""
    gc.collect()
    gc.freeze()


def _descriptors() -> list[str]:
    """The sockets and pollers that are open, by what they are."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(entry)
        except OSError:
            continue  # the listing's own
        if target.startswith(("socket:", "anon_inode:[event")):
            found.append(target)
    return sorted(found)


@pytest.fixture(scope="session", autouse=True)
def _no_process_stays() -> Iterator[None]:
    """No process may outlive the session: as the first fixture of the session, it looks when all others have ended."""
    mark_processes()
    yield
    assert left(marked_processes) == []


@pytest.fixture(autouse=True)
def _no_child_stays() -> Iterator[None]:
    """No process may outlive its test, but for those of fixtures that live longer."""
    before = started()
    yield
    if started() != before:
        assert left(children) == []


@pytest.fixture(autouse=True)
def _nothing_leaks() -> Iterator[None]:
    """No socket and no poller may outlive its test."""
    if not Path("/proc/self/fd").is_dir():
        yield
        return
    before = _descriptors()
    yield
    after = _descriptors()
    if after != before:
        gc.collect()  # what is only waiting to be collected has not leaked
        after = _descriptors()
    assert after == before, f"left open: {set(after) - set(before)}"


@pytest.fixture
def app() -> Triows:
    return Triows("tested")


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Records:
    """What the access log has got until it is asked for."""
    caplog.set_level(logging.INFO, "triows.access")
    return lambda: [record for record in caplog.records if record.name == "triows.access"]


@pytest.fixture
def log(records: Records) -> Callable[[], list[str]]:
    """The same as lines."""
    return lambda: lines(records())
