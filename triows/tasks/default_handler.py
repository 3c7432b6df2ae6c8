"""The log handler of programs that have set up none: it writes what no other handler takes.

The program may set up its logging before or after: this handler looks at each record, and is silent where another
handler takes the record. So no record is written twice. The root logger is never touched, so that
:func:`logging.basicConfig` has its effect whenever it is called.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any, TextIO

from .json_log import JSONFormatter
from .terminal import STYLES, shows_colours, styled
from .tracebacks import FULL_TRACEBACKS, format_exception

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


_LOG_FORMAT = "TRIOWS_LOG_FORMAT"  # a variable that chooses one of these
LOG_FORMATS: tuple[str, ...] = ("text", "json")


class _Folding(logging.Formatter):
    """Folds the frames of frameworks in tracebacks."""

    def formatException(self, ei: Any) -> str:
        """Return the traceback of an error; the whole of it if ``TRIOWS_FULL_TRACEBACKS`` is set."""
        if ei[1] is None or os.environ.get(FULL_TRACEBACKS):
            return super().formatException(ei)
        return format_exception(ei[1]).rstrip("\n")


class DefaultJSONFormatter(_Folding, JSONFormatter):
    """Formats as JSON, with the frames of frameworks folded in tracebacks."""


class DefaultFormatter(_Folding):
    """Formats as the standard library does, with the frames of frameworks folded in tracebacks.

    If ``sys.stderr`` is a terminal, level and name are coloured. The id of the request stands behind the line.
    """

    def __init__(self) -> None:
        super().__init__(_FORMAT)
        self._stream: TextIO | None = None
        self._coloured = False

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = self._line(record)
        request_id = getattr(record, "request_id", None)
        return line if request_id is None else f"{line} [{request_id}]"

    def _line(self, record: logging.LogRecord) -> str:
        if sys.stderr is not self._stream:  # asked once: it takes longer than the rest
            self._stream, self._coloured = sys.stderr, shows_colours(sys.stderr)
        style = record.levelname.lower()
        if not self._coloured or style not in STYLES:
            return super().formatMessage(record)
        level, name = styled("%(levelname)s", style), styled("%(name)s", "faint")
        return f"%(asctime)s {level} {name}: %(message)s" % record.__dict__

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the traceback, which is not left in the record for the other handlers to write."""
        kept, record.exc_text = record.exc_text, None
        try:
            return super().format(record)
        finally:
            record.exc_text = kept


def has_level_handler(logger: logging.Logger) -> bool:
    """Whether a handler, of this logger or above, takes all records of the logger's effective level."""
    level = logger.getEffectiveLevel()
    return any(handler.level <= level for handler in _handlers(logger))


def _handlers(logger: logging.Logger) -> list[logging.Handler]:
    """The handlers that a record of the logger comes to."""
    found = []
    current: logging.Logger | None = logger
    while current is not None:
        found += current.handlers
        current = current.parent if current.propagate else None
    return found


class DefaultHandler(logging.StreamHandler[TextIO]):
    """Writes the records that no other handler takes to stderr. One for the whole program is enough.

    :attr:`~logging.Handler.level` of the other handler matters: one for errors alone, by mail for instance, does not
    keep the rest from stderr, nor the errors, unless it writes to the terminal too.

    :ivar log_format: ``text`` or ``json``; None: what the variable ``TRIOWS_LOG_FORMAT`` says, or else text.
    """

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(DefaultFormatter())
        self.log_format: str | None = None
        self._json = DefaultJSONFormatter()
        self._doubted: str | None = None  # the value of the variable that was complained of
        self._levels: dict[logging.Logger, int] = {}  # those that it has set

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """What ``sys.stderr`` is now; a test may have replaced it."""
        return sys.stderr

    def format(self, record: logging.LogRecord) -> str:
        """Return the record in the format that is chosen now."""
        chosen = self.log_format or os.environ.get(_LOG_FORMAT) or "text"
        if chosen == "json":
            return self._json.format(record)
        line = super().format(record)
        if chosen in LOG_FORMATS or chosen == self._doubted:
            return line
        self._doubted = chosen
        return f"{_LOG_FORMAT} is {chosen!r:.80}; it must be {' or '.join(map(repr, LOG_FORMATS))}\n{line}"

    def add_to(self, logger: logging.Logger) -> None:
        """Take the records of a logger for which nobody has set up a handler."""
        if not has_level_handler(logger):
            logger.addHandler(self)

    def set_level(self, logger: logging.Logger, level: int) -> None:
        """Set the level of a logger, unless the program has set one, or up its logging; see :meth:`withdraw`."""
        root = logging.getLogger()
        if not _is_set_up(root) and root.level == logging.WARNING and _has_no_level(logger):
            logger.setLevel(level)
            self._levels[logger] = level

    def withdraw(self) -> None:
        """Leave the levels to the program, if it has set up its logging since they were set."""
        if self._levels and _is_set_up(logging.getLogger()):
            for logger, level in self._levels.items():
                if logger.level == level:
                    logger.setLevel(logging.NOTSET)
            self._levels.clear()

    def handle(self, record: logging.LogRecord) -> bool:
        """Write the record, unless another handler takes it, or a logger below has brought it here already."""
        self.withdraw()
        if self._is_taken(record) or hasattr(record, "written_by_default"):
            return False
        record.written_by_default = True
        return bool(super().handle(record))

    def _is_taken(self, record: logging.LogRecord) -> bool:
        logger = logging.getLogger(record.name)
        level = logger.getEffectiveLevel()
        return any(
            handler.level <= record.levelno and (handler.level <= level or _writes_to_terminal(handler))
            for handler in _handlers(logger)
            if handler is not self
        )


def _has_no_level(logger: logging.Logger) -> bool:
    current: logging.Logger | None = logger
    while current is not None and current.parent is not None:
        if current.level != logging.NOTSET:
            return False
        current = current.parent
    return True


def _is_set_up(root: logging.Logger) -> bool:
    return any(handler.level <= root.level for handler in root.handlers)


def _writes_to_terminal(handler: logging.Handler) -> bool:
    return isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stderr, sys.stdout)


default_handler: DefaultHandler = DefaultHandler()
