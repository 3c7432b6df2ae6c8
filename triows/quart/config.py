"""Quart's ``quart.config``."""

from __future__ import annotations

from ..framework.config import Config as Config
