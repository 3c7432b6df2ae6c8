"""The logger ``triows.error``, for all packages but ``protocol``, and how loggers are guarded.

A failing log handler loses its record, and harms nobody else. A configuration that names other loggers silences none.
Each record has the id of the request that its task works for.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from .context import current_request_id


class _Guarded:
    """A mixin for the class of a logger: exceptions of the logger's filters and handlers do not reach its callers.

    :func:`logging.config.dictConfig` and ``fileConfig()`` disable every logger that there is and that they do not name,
    unless ``disable_existing_loggers`` is false. They cannot disable this one. ``logger.disabled = True`` can.

    :func:`guarded_logger` swaps the ``__class__`` of the logger object for one with this mixin. So whoever gets the
    logger by its name from :func:`logging.getLogger`, before or after, has the guarded one.
    """

    def handle(self, record: logging.LogRecord) -> None:
        if not hasattr(record, "request_id"):
            record.request_id = current_request_id()
        try:
            super().handle(record)  # type: ignore[misc]
        except Exception:
            # The handlers of the standard library report their own failures; one that raises has nobody to tell.
            pass

    def __setattr__(self, name: str, value: Any) -> None:
        # Nothing but the caller tells the one from the other.
        if name == "disabled" and sys._getframe(1).f_globals.get("__name__") == "logging.config":
            value = False
        super().__setattr__(name, value)


def guarded_logger(name: str) -> logging.Logger:
    """Return the logger of this name. An exception of its handlers, or of those above it, is dropped."""
    logger = logging.getLogger(name)
    if not isinstance(logger, _Guarded):
        # The logger may be of a class that logging.setLoggerClass() has set.
        logger.__class__ = type("GuardedLogger", (_Guarded, type(logger)), {})
        # A configuration may have disabled the logger before it was guarded.
        logger.disabled = False
    return logger


error_log: logging.Logger = guarded_logger("triows.error")
