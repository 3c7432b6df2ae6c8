"""Quart's ``quart.json.provider``."""

from __future__ import annotations

from ...web.json import JSONProvider as JSONProvider

DefaultJSONProvider = JSONProvider
