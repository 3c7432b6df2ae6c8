"""The browser's tests run when they are asked for, and only then: ``pytest tests/browser -m browser``.

They need Chromium and the dependency group ``browser`` (playwright), which the plain ``pytest`` must not: there, this
directory is not even collected. Asked for, they are never skipped: without playwright or Chromium they fail.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..support.processes import all_stay

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this directory out, unless the marker was asked for by its name."""
    return None if config.getoption("markexpr") == "browser" else True


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    assert chromium is not None, "the browser's tests need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        all_stay()
        yield browser
        browser.close()
