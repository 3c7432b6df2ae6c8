"""The logger ``triows.error``, for all packages but ``protocol``.

A failing log handler loses its record, and harms nobody else.
"""

from __future__ import annotations

import logging


class _Guarded:
    """A mixin for the class of a logger: exceptions of the logger's filters and handlers do not reach its callers.

    :func:`guarded_logger` swaps the ``__class__`` of the logger object for one with this mixin. So whoever gets the
    logger by its name from :func:`logging.getLogger`, before or after, has the guarded one.
    """

    def handle(self, record: logging.LogRecord) -> None:
        try:
            super().handle(record)  # type: ignore[misc]
        except Exception:
            # The handlers of the standard library report their own failures; one that raises has nobody to tell.
            pass


def guarded_logger(name: str) -> logging.Logger:
    """Return the logger of this name. An exception of its handlers, or of those above it, is dropped."""
    logger = logging.getLogger(name)
    if not isinstance(logger, _Guarded):
        # The logger may be of a class that logging.setLoggerClass() has set.
        logger.__class__ = type("GuardedLogger", (_Guarded, type(logger)), {})
    return logger


error_log: logging.Logger = guarded_logger("triows.error")
