"""Quart's ``quart.debug``."""

from __future__ import annotations

from ..web.debug_page import debug_response
from ..web.response import Response


async def traceback_response(error: BaseException) -> Response:
    """Return the page that debug mode answers an error with: it shows source code, and no values of variables."""
    return debug_response(error)
