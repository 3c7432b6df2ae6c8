"""The guarded loggers: a failing handler loses its record, and harms nobody else.

What that means for a server is in tests/connection/test_logs.py.
"""

from __future__ import annotations

import logging

import pytest

from triows.tasks.error_log import error_log, guarded_logger


class Broken(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise OSError(28, "No space left on device")


def test_the_error_log_is_the_logger_of_its_name() -> None:
    assert logging.getLogger("triows.error") is error_log


def test_an_exception_of_a_handler_does_not_reach_who_logs() -> None:
    handler = Broken()
    error_log.addHandler(handler)
    try:
        logging.getLogger("triows.error").error("lost")
    finally:
        error_log.removeHandler(handler)


def test_a_logger_that_others_have_made_keeps_its_class_and_is_guarded_once(caplog: pytest.LogCaptureFixture) -> None:
    class Own(logging.Logger):
        pass

    logging.setLoggerClass(Own)
    try:
        made = logging.getLogger("triows.tests.made_before")
    finally:
        logging.setLoggerClass(logging.Logger)
    assert guarded_logger("triows.tests.made_before") is made
    guarded = type(made)
    assert guarded_logger("triows.tests.made_before") is made
    assert type(made) is guarded
    assert isinstance(made, Own)
