"""Quart's ``quart.wrappers.response``."""

from __future__ import annotations

from ...web.response import Response as Response
