"""Quart's ``quart.logging``."""

from __future__ import annotations

from logging import Logger

from ..framework.application import App
from ..tasks.default_handler import default_handler as default_handler
from ..tasks.default_handler import has_level_handler as has_level_handler


def create_logger(app: App) -> Logger:
    """Return the app's logger."""
    return app.logger
