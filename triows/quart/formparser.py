"""Quart's ``quart.formparser``. Its parsers are not there: triows parses forms as they arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..web.quart_names import refuse_imports

if not TYPE_CHECKING:
    __getattr__ = refuse_imports(
        __name__,
        dict.fromkeys(
            ("FormDataParser", "MultiPartParser"),
            "'await request.form' and 'await request.files' parse a form; for a parser of your own, read request.body",
        ),
    )
