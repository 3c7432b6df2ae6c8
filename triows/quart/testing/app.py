"""Quart's ``quart.testing.app``."""

from __future__ import annotations

from ...errors import LifespanError as LifespanError
from ...testing.app import TestApp as TestApp
