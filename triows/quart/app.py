"""Quart's ``quart.app``."""

from __future__ import annotations

from ..app import Triows

Quart = Triows
