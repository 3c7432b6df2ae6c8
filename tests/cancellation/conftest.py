from __future__ import annotations

import logging

import pytest
import trustme


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What is logged as a warning or worse."""
    caplog.set_level(logging.WARNING)
    return caplog.records
