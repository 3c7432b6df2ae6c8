"""Quart's ``quart.debug``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..web.debug_page import debug_response
from ..web.quart_names import refuse_imports as _refuse_imports
from ..web.response import Response


async def traceback_response(error: BaseException) -> Response:
    """Return the page that debug mode answers an error with: it shows source code, and no values of variables."""
    return debug_response(error)


if not TYPE_CHECKING:
    __getattr__ = _refuse_imports(
        __name__,
        {
            "TEMPLATE": "write a template of your own",
        },
    )
