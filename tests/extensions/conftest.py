"""The extensions' tests run when they are asked for, and only then: ``pytest tests/extensions -m extensions``.

They need the dependency group ``extensions``, which the plain ``pytest`` must not: there, this directory is not even
collected. With it comes Quart itself, which has to stay unused: ``quart`` means ``triows.quart`` in the whole process.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from triows import install_as_quart


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this directory out, unless the marker was asked for by its name; before its tests import extensions."""
    if config.getoption("markexpr") != "extensions":
        return True
    install_as_quart()
    return None
