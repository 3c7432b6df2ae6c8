"""Colours for terminals: whether a stream shows them, and text in them.

``NO_COLOR`` in the environment switches them off, see https://no-color.org, and ``FORCE_COLOR`` on where there is no
terminal. A terminal of the type ``dumb`` has none.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TextIO

# ECMA-48, 8.3.117 SGR.
STYLES: Mapping[str, str] = {
    "debug": "2",
    "info": "32",
    "warning": "33",
    "error": "31",
    "critical": "1;31",
    "address": "1;36",
    "faint": "2",
}
"""The styles of text by what it says."""


def shows_colours(stream: TextIO) -> bool:
    """Whether text for this stream may have colours."""
    environment = os.environ
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    try:
        on = environment.get("TERM") != "dumb" and stream.isatty()
    except ValueError:  # it is closed
        return False
    if on and sys.platform == "win32":  # pragma: no cover - Windows
        from colorama import just_fix_windows_console

        just_fix_windows_console()
    return on


def styled(text: str, style: str, stream: TextIO | None = None) -> str:
    """Return the text in a style of :data:`STYLES`, if the stream, by default stderr, shows colours."""
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if shows_colours(stream or sys.stderr) else text
