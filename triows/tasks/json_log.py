"""Log records as JSON, one object a line, whatever is in them."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

# What every record has, and what formatters and handlers leave in it: the rest was given by the ``extra`` of its call.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"asctime", "message", "taskName", "written_by_default"}
_RESERVED = frozenset(("time", "level", "logger", "message", "traceback", "stack"))


class JSONFormatter(logging.Formatter):
    """Formats each record as one line of JSON, for any handler: ``handler.setFormatter(JSONFormatter())``.

    The object has ``time`` (RFC 3339, in UTC), ``level``, ``logger`` and ``message``; then what the record has beyond
    that and is not None, by the names of the attributes: ``request_id``, the fields of the access log, the ``extra`` of
    a call; and ``traceback`` and ``stack``, as text. A value that JSON has no form for is written as its ``repr()``.
    An ``extra`` that has the name of one of the first or last fields gets an underscore behind it.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. It has no line break, is ASCII, and no content of a record makes it fail."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
        }
        for name, value in vars(record).items():
            if name not in _OWN and value is not None:
                entry[f"{name}_" if name in _RESERVED else name] = value
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        elif record.exc_text:
            entry["traceback"] = record.exc_text
        if record.stack_info:
            entry["stack"] = self.formatStack(record.stack_info)
        items = ", ".join(f"{json.dumps(str(name))}: {_json(value)}" for name, value in entry.items())
        return f"{{{items}}}"


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # the arguments do not suit the text
        return f"{record.msg} {_repr(record.args)} ({type(error).__name__}: {error})"


def _json(value: object) -> str:
    try:
        return json.dumps(value, allow_nan=False, default=_repr)
    except Exception:  # a number that is none, a key that is no text, or a list that holds itself
        return json.dumps(_repr(value))


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # of a user's __repr__
        return object.__repr__(value)
