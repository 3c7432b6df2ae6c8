"""Quart's ``quart.wrappers.request``."""

from __future__ import annotations

from ...web.body import Body as Body
from ...web.request import Request as Request
