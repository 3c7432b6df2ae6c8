"""What has been logged."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

# Words of warnings that clients may cause, of which there are few.
OF_CLIENTS = (
    "refused a page of the origin",
    "came without its Upgrade or its Connection",
    "is HTTP's alone",
    "websocket clients do not follow",
)

Records = Callable[[], list[logging.LogRecord]]


def complaints(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What was logged as a warning or worse."""
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


def error_log(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What the server and the app have logged, at any level, but for the access log."""
    return [record for record in caplog.records if record.name != "triows.access"]


def lines(records: list[logging.LogRecord]) -> list[str]:
    return [record.getMessage() for record in records]


def logged(caplog: pytest.LogCaptureFixture) -> list[BaseException]:
    """The errors that were logged, each with its traceback."""
    records = complaints(caplog)
    errors = [record.exc_info[1] for record in records if record.exc_info]
    assert len(errors) == len(records), "something was logged without its traceback"
    return [error for error in errors if error is not None]
