"""Each test of the command begins in an empty folder, and leaves no trace in this process."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from triows.command import environment


@pytest.fixture(autouse=True)
def _nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Loading an app leaves modules, paths, variables of the environment and levels of loggers behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(environment, "_found", set())
    modules, path, variables = set(sys.modules), list(sys.path), dict(os.environ)
    logger = logging.getLogger("triows")
    level = logger.level
    yield
    logger.setLevel(level)
    os.environ.clear()
    os.environ.update(variables)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
