"""The value of ``Date`` in responses (RFC 9110, section 6.6.1)."""

from __future__ import annotations

import time
from email.utils import formatdate

_date = (0, b"")


def date() -> bytes:
    """The value of ``Date`` now. It is formatted once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, formatdate(now, usegmt=True).encode("ascii"))
    return _date[1]
