"""Quart's ``quart.routing``."""

from __future__ import annotations

from ..framework.routes.rules import Rule, URLMap

QuartMap = URLMap
QuartRule = Rule
