"""Quart's ``quart.routing``."""

from __future__ import annotations

from werkzeug.routing import Map as Map
from werkzeug.routing import MapAdapter as MapAdapter
from werkzeug.routing import Rule as Rule

from ..framework.routes import rules

QuartMap = rules.URLMap
QuartRule = rules.Rule
