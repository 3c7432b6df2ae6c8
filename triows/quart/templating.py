"""Quart's ``quart.templating``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..web.templates import render_template as render_template
from ..web.templates import render_template_string as render_template_string
from ..web.templates import stream_template as stream_template
from ..web.templates import stream_template_string as stream_template_string

if TYPE_CHECKING:
    from ..framework.jinja import DispatchingJinjaLoader as DispatchingJinjaLoader
    from ..framework.jinja import Environment as Environment
else:

    def __getattr__(name: str) -> Any:
        # Jinja may not be installed, and is imported where it is needed.
        if name not in ("DispatchingJinjaLoader", "Environment"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ..framework import jinja

        return getattr(jinja, name)
