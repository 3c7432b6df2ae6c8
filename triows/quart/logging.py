"""Quart's ``quart.logging``."""

from __future__ import annotations

from logging import Logger
from typing import TYPE_CHECKING

from ..framework.application import App
from ..tasks.default_handler import default_handler as default_handler
from ..tasks.default_handler import has_level_handler as has_level_handler
from ..web.quart_names import refuse_imports as _refuse_imports


def create_logger(app: App) -> Logger:
    """Return the app's logger."""
    return app.logger


if not TYPE_CHECKING:
    __getattr__ = _refuse_imports(
        __name__,
        {
            "LocalQueueHandler": "use logging.handlers.QueueHandler with a QueueListener",
        },
    )
