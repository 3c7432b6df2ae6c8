"""Quart's ``quart.json.tag``."""

from __future__ import annotations

from ...web.tagged_json import TaggedJSONSerializer as TaggedJSONSerializer
