"""Quart's ``quart.datastructures``."""

from __future__ import annotations

from ..web.forms import FileStorage as FileStorage
