"""Quart's ``quart.debug``."""

from __future__ import annotations

from traceback import format_exception
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from ..web.quart_names import refuse_imports as _refuse_imports
from ..web.response import Response

_PAGE = Markup("""\
<!doctype html>
<meta charset="utf-8">
<title>{title}</title>
<h1>{title}</h1>
<pre>{traceback}</pre>
""")


async def traceback_response(error: BaseException) -> Response:
    """Return a page of 500 that shows the traceback of an error to a developer.

    It shows lines of the program, and no variables, since these may hold secrets.
    """
    return Response(_PAGE.format(title=type(error).__name__, traceback=escape("".join(format_exception(error)))), 500)


if not TYPE_CHECKING:
    __getattr__ = _refuse_imports(
        __name__,
        {
            "TEMPLATE": "write a template of your own",
        },
    )
